"""Web pages against the project's Prefect server, in a real browser."""

from urllib.parse import urlsplit

import pytest

from bench.browser import chromium, scripted_page
from flows.scheduling import server, settings
from tests._ports import free_port

ATTACK = """async (api) => {
    const shell = {"prefect.deployments.steps.run_shell_script": {script: "touch owned"}};
    const deployment = {name: "any", flow_id: "00000000-0000-0000-0000-000000000000", pull_steps: [shell]};
    const outcomes = [];
    const send = async (path, options) => {
        try {
            const answer = await fetch(api + path, {method: "POST", ...options});
            outcomes.push(answer.type === "opaque" ? "opaque" : answer.status);
        } catch (error) { outcomes.push(error.name); }
    };
    const json = {headers: {"Content-Type": "application/json"}};
    await send("/flows/", {...json, body: JSON.stringify({name: "any"})});
    await send("/deployments/", {...json, body: JSON.stringify(deployment)});
    await send("/deployments/name/any/any/create_flow_run", {...json, body: "{}"});
    // without the question whether it may, and with what the browser knows of that server
    await send("/flows/", {mode: "no-cors", credentials: "include", body: JSON.stringify({name: "any"})});
    outcomes.push(await new Promise((done) => {
        const socket = new WebSocket(api.replace("http", "ws") + "/events/in", "prefect");
        socket.onopen = () => done("open");
        socket.onerror = () => done("closed");
    }));
    return outcomes;
}"""


@pytest.mark.slow
def test_another_page_starts_nothing_and_the_operators_own_works_and_reports_nothing(tmp_path):
    made = server.ensure(tmp_path, free_port())
    port = server.port_of(made.url)
    try:
        with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
            context = browser.new_context()
            own = context.new_page()
            reached = []
            own.on("response", lambda answer: reached.append(urlsplit(answer.url).netloc))
            own.goto(made.page)
            own.locator("input[type=password]").fill(settings.password(tmp_path))
            own.keyboard.press("Enter")
            own.wait_for_url("**/dashboard*", timeout=60_000)
            own.get_by_text("Run a task or flow to get started").wait_for(timeout=60_000)

            with scripted_page(browser, policy="connect-src *") as foreign:
                outcomes = foreign.evaluate(ATTACK, made.url)
            assert outcomes == ["TypeError", "TypeError", "TypeError", "opaque", "closed"]
            # a name that leads to this machine: the page would be of the server's own origin
            rebound = context.new_page()
            answer = rebound.goto(f"http://evil.example:{port}/api/health")
            assert answer.status == 403
            assert rebound.evaluate(ATTACK, f"http://evil.example:{port}/api")[:3] == [403, 403, 403]

            own.goto(f"{made.page}/v2/flows")
            own.get_by_text("Flows", exact=True).first.wait_for(timeout=60_000)
            assert set(reached) == {f"127.0.0.1:{port}"}
            blocked = own.evaluate(
                """() => new Promise((done) => {
                    document.addEventListener("securitypolicyviolation", (event) => done(event.blockedURI));
                    fetch("https://example.org/").catch(() => {});
                })"""
            )
            assert blocked.startswith("https://")
        with server.session(tmp_path, made.url) as session:
            for kind in ("flows", "deployments", "flow_runs"):
                assert session.post(f"{made.url}/{kind}/filter", json={}).json() == [], kind
        assert not list(tmp_path.rglob("owned"))
    finally:
        made.stop()
