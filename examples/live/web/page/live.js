
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const own = document.documentElement.dataset.version;
  const { viewer, streamer } = document.body.dataset;
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // The stream: lanterns over a lake, as many as gifts were sent, and some.
  const canvas = $("stream"), paint = canvas.getContext("2d");
  const hue = own === "v2" ? 150 : 262;
  const lanterns = Array.from({ length: 16 }, (_, i) => lantern(i / 16));
  function lantern(at) {
    return { x: Math.random(), at, size: .5 + Math.random(), sway: Math.random() * 6, speed: .6 + Math.random() * .6 };
  }
  function draw(time) {
    const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    if (canvas.width !== Math.round(w * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    const shore = h * .72;
    const sky = paint.createLinearGradient(0, 0, 0, h);
    sky.addColorStop(0, "hsl(" + hue + " 55% 9%)");
    sky.addColorStop(.7, "hsl(" + hue + " 45% 27%)");
    sky.addColorStop(.72, "hsl(" + hue + " 50% 13%)");
    sky.addColorStop(1, "hsl(" + hue + " 55% 7%)");
    paint.fillStyle = sky; paint.fillRect(0, 0, w, h);
    paint.fillStyle = "hsl(" + hue + " 45% 11%)";
    paint.beginPath(); paint.moveTo(0, shore);
    for (let x = 0; x <= w + 8; x += 8) paint.lineTo(x, shore - h * (.09 + .05 * Math.sin(x / w * 7 + 1) + .03 * Math.sin(x / w * 17)));
    paint.lineTo(w, shore); paint.fill();
    for (const l of lanterns) {
      const p = (l.at + (time || 0) / 24000 * l.speed) % 1;
      const x = (l.x + .02 * Math.sin(p * 9 + l.sway)) * w, y = shore - p * h * .8, r = Math.max(2, h * .022 * l.size);
      glow(x, y, r, Math.min(1, p * 6, (1 - p) * 4));
      const below = shore + p * h * .3;
      if (below < h) glow(x, below, r * .7, .25 * (1 - p), .35);
    }
    if (!still.matches) requestAnimationFrame(draw);
  }
  function glow(x, y, r, alpha, squeeze = 1) {
    const light = paint.createRadialGradient(x, y, 0, x, y, r * 4);
    light.addColorStop(0, "rgba(255,196,96," + alpha + ")");
    light.addColorStop(.22, "rgba(255,160,64," + alpha * .75 + ")");
    light.addColorStop(1, "rgba(255,120,40,0)");
    paint.save(); paint.translate(x, y); paint.scale(1, squeeze); paint.translate(-x, -y);
    paint.fillStyle = light; paint.fillRect(x - r * 4, y - r * 4, r * 8, r * 8); paint.restore();
  }
  draw(0);
  addEventListener("resize", () => { if (still.matches) draw(0); });

  // Who answers: every hop of one request, over and over.
  const path = $("path");
  function show(answer) {
    path.replaceChildren(...answer.path.map((hop) => {
      const li = document.createElement("li"), b = document.createElement("b");
      li.className = "chip"; li.dataset.version = hop.version;
      b.textContent = hop.version; li.append(hop.service + " ", b);
      return li;
    }));
    const verdict = $("verdict");
    verdict.classList.toggle("bad", answer.mixed);
    verdict.textContent = answer.mixed ? "Mixed: two releases answered one request" : "One request, one release";
    const web = answer.path.find((hop) => hop.service === "web");
    $("news").hidden = !web || web.version === own;
  }
  async function ask() {
    try {
      show(await (await fetch("/path", { cache: "no-store" })).json());
    } catch {
      $("verdict").textContent = "No answer just now, asking again";
    }
    setTimeout(ask, document.hidden ? 10000 : 2000);
  }
  setTimeout(ask, 2000);
  $("reload").addEventListener("click", () => location.reload());

  const events = new EventSource("/api/events");
  events.addEventListener("viewers", (e) => { $("viewers").textContent = JSON.parse(e.data).viewers; });

  // Gifts.
  $("gift").addEventListener("submit", async (e) => {
    e.preventDefault();
    const button = e.submitter || $("gift").querySelector("button"), twice = $("twice") && $("twice").checked;
    const query = new URLSearchParams({ from: viewer, to: streamer, coins: 10 });
    if (twice) query.set("times", 2);
    button.disabled = true;
    try {
      const res = await fetch("/api/gift?" + query, { method: "POST", body: "a lantern" });
      const sent = await res.json();
      if (!res.ok) throw new Error(sent.error || res.statusText);
      $("balance").textContent = sent.balance;
      $("thanks").textContent = streamer + (twice ? " got two lanterns from you." : " got a lantern from you.");
      for (let i = 0; i < (twice ? 2 : 1); i++) {
        lanterns.push({ ...lantern(1 - performance.now() / 24000 % 1), size: 2.2, speed: 1 });
        if (lanterns.length > 60) lanterns.shift();
      }
    } catch (err) {
      $("thanks").textContent = "The gift did not go through: " + err.message;
    } finally {
      button.disabled = false;
    }
  });

  // Chat.
  const log = $("log"), chip = $("chatversion");
  let socket, wait = 500;
  function line(name, text, version) {
    const li = document.createElement("li");
    if (name) {
      const b = document.createElement("b");
      b.textContent = name; li.dataset.version = version; li.append(b);
    } else {
      li.className = "note";
    }
    li.append(text);
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(li);
    while (log.children.length > 200) log.firstChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  function connect() {
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/chat/ws");
    socket.onmessage = (e) => {
      const frame = JSON.parse(e.data);
      if (frame.kind === "hello") { chip.textContent = "chat " + frame.version; chip.dataset.version = frame.version; wait = 500; }
      if (frame.kind === "message") line(frame.name, frame.text, frame.version);
    };
    socket.onclose = (e) => {
      chip.textContent = "connecting";
      if (e.code === 1001) line("", e.reason);
      setTimeout(connect, wait); wait = Math.min(wait * 2, 8000);
    };
  }
  fetch("/chat/history").then((res) => res.json()).then((all) => {
    if (!all.length) line("", "Nobody has said anything yet.");
    for (const m of all) line(m.name, m.text, m.version);
    log.scrollTop = log.scrollHeight;
  }).catch(() => line("", "The history is not to be had just now.")).finally(connect);
  $("chat").addEventListener("submit", (e) => {
    e.preventDefault();
    const text = $("say").value.trim();
    if (!text || !socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify({ kind: "message", name: viewer, text }));
    $("say").value = "";
  });
})();

