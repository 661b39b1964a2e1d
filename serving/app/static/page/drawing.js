// The paper: mouse, finger, pen or keyboard → strokes, shown as they come.

import { byId } from "./dom.js";
import { Strokes } from "./strokes.js";

const WIDTH = 0.062; // of the paper's side
const STEP = 0.03; // of the side, one arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  #strokes = new Strokes();
  #pointer = null;
  #pen = { x: 0.5, y: 0.5, down: false, held: new Set() };

  /** changed: called after every stroke's piece, undo and clear. */
  constructor(changed) {
    this.changed = changed;
    this.canvas = byId("canvas");
    this.context = this.canvas.getContext("2d");
    this.#listen();
    new ResizeObserver(() => this.#paint()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  get empty() {
    return this.#strokes.empty;
  }

  /** 28×28 bytes, white ink on black; null while there is no ink. */
  pixels() {
    return this.#strokes.empty ? null : this.#strokes.pixels();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.#pointer = null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => this.#pen.held.delete(event.key));
    canvas.addEventListener("focus", () => this.#showPen(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => {
      this.#pen.held.clear();
      this.#showPen(false);
    });
    byId("undo").addEventListener("click", () => this.#undo());
    byId("clear").addEventListener("click", () => this.#clear());
  }

  #down(event) {
    if (this.#pointer !== null || event.button !== 0) return; // a second finger draws nothing
    event.preventDefault(); // no selection; so the focus is set by hand
    this.canvas.focus({ focusVisible: false });
    this.#pen.down = false;
    this.#showPen(false);
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#strokes.begin(...this.#place(event));
    this.#done();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.#strokes.extend(...this.#place(each));
    this.#done();
  }

  #place(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const pressed = event.pointerType === "pen" && event.pressure > 0 ? 0.6 + 0.8 * event.pressure : 1;
    return [(event.clientX - left) / width, (event.clientY - top) / width, WIDTH * pressed];
  }

  #key(event) {
    const pen = this.#pen;
    if (event.key in ARROWS) {
      pen.held.add(event.key);
      for (const name of pen.held) {
        const [right, down] = ARROWS[name], step = event.shiftKey ? STEP / 3 : STEP;
        pen.x = Math.min(Math.max(pen.x + right * step, 0), 1);
        pen.y = Math.min(Math.max(pen.y + down * step, 0), 1);
      }
      if (pen.down) this.#strokes.extend(pen.x, pen.y, WIDTH);
    } else if (event.key === " " && !event.repeat) {
      pen.down = !pen.down;
      if (pen.down) this.#strokes.begin(pen.x, pen.y, WIDTH);
    } else if (event.key === "Escape") pen.down = false;
    else if (event.key === "Delete" || event.key === "Backspace") this.#clear();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.#undo();
    else return;
    event.preventDefault();
    this.#showPen(true);
    if (pen.down) this.#done();
  }

  #undo() {
    this.#pen.down = false;
    this.#strokes.undo();
    this.#done();
  }

  #clear() {
    this.#pen.down = false;
    this.#strokes.clear();
    this.#done();
  }

  #showPen(shown) {
    const mark = byId("pen"), { x, y, down } = this.#pen;
    mark.hidden = !shown;
    mark.classList.toggle("down", down);
    mark.style.left = `${100 * x}%`;
    mark.style.top = `${100 * y}%`;
  }

  #done() {
    byId("hint").hidden = !this.empty;
    byId("undo").disabled = byId("clear").disabled = this.empty;
    this.#paint();
    this.changed();
  }

  #paint() {
    const { canvas, context } = this;
    const side = Math.round(canvas.clientWidth * (globalThis.devicePixelRatio || 1));
    if (side === 0) return; // its tab is not shown
    if (canvas.width !== side) canvas.width = canvas.height = side;
    context.clearRect(0, 0, side, side);
    this.#strokes.paint(context, side, getComputedStyle(canvas).color);
  }
}
