// The camera in the page: a view, a shutter; where there is none, a sentence and the file chooser.

import { byId, closable } from "./dom.js";

const WANTED = { video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } }, audio: false };
const WHY = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, or choose a picture.",
  NotFoundError: "No camera was found. Choose a picture instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a picture.",
};
const NONE = "This page can't use a camera here (browsers allow it over https and on localhost). Choose a picture.";

export class Camera {
  #stream = null;

  /** take: called with the picture, a JPEG File. */
  constructor(take) {
    this.take = take;
    this.dialog = byId("shutter");
    this.video = byId("viewfinder");
    closable(this.dialog);
    this.dialog.addEventListener("close", () => this.#stop());
    byId("camera").addEventListener("click", () => this.#open());
    byId("shoot").addEventListener("click", () => this.#shoot());
    byId("shutter-file").addEventListener("click", () => {
      this.dialog.close();
      byId("file-camera").click(); // on a phone this opens the camera's own program
    });
    this.video.addEventListener("loadeddata", () => (byId("shoot").disabled = false));
  }

  async #open() {
    byId("shutter-said").textContent = "Asking for the camera …";
    byId("shutter-file").hidden = true;
    byId("shoot").hidden = this.video.hidden = false;
    byId("shoot").disabled = true;
    this.dialog.showModal();
    try {
      if (!navigator.mediaDevices) throw new DOMException(NONE, "NotSupportedError");
      const stream = await navigator.mediaDevices.getUserMedia(WANTED);
      if (!this.dialog.open) return stream.getTracks().forEach((track) => track.stop());
      this.#stream = this.video.srcObject = stream;
      byId("shutter-said").textContent = "";
    } catch (error) {
      byId("shutter-said").textContent = WHY[error.name] ?? error.message;
      byId("shoot").hidden = this.video.hidden = true;
      byId("shutter-file").hidden = false;
      byId("shutter-file").focus();
    }
  }

  #shoot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    this.dialog.close();
    canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }).then((blob) =>
      this.take(new File([blob], "photo.jpg", { type: "image/jpeg" })));
  }

  #stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.video.srcObject = null;
  }
}
