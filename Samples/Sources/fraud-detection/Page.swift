/// The page on `/`: payments per second and alerts, live.
let page = #"""
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Fraud detection</title>
    <link rel="icon" href="data:,">
    <style>
    :root {
      color-scheme: light dark;
      --ground: light-dark(#f5f6f8, #101418); --card: light-dark(#fff, #191f26);
      --line: light-dark(#dfe3e8, #2b343e); --text: light-dark(#17212b, #e6ebf0);
      --quiet: light-dark(#5c6a78, #93a1b0); --accent: light-dark(#0b6bcb, #58a6ff);
      --velocity: light-dark(#9a5b00, #f0b45a); --travel: light-dark(#7a3fb5, #c69cf4);
      --amount: light-dark(#b3261e, #ff8a80);
    }
    * { box-sizing: border-box; margin: 0; }
    body { background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
    header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1rem; }
    #link { margin-left: auto; color: var(--quiet); font-size: .875rem; }
    #link::before { content: ""; display: inline-block; width: .6em; height: .6em;
      margin-right: .45em; border-radius: 50%; background: var(--amount); }
    #link.on::before { background: light-dark(#1a7f37, #3fb950); }
    section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
      padding: 1.1rem 1.25rem; margin-top: 1rem; }
    dl { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; }
    dt, .quiet { color: var(--quiet); font-size: .875rem; }
    dd { font-size: 1.9rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
    svg { display: block; width: 100%; height: 7rem; margin-top: 1rem; overflow: visible; }
    svg text { fill: var(--quiet); font-size: 11px; }
    #area { fill: var(--accent); opacity: .14; }
    #curve { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke;
      stroke-linejoin: round; }
    .top { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.25rem; }
    .top ul { display: flex; gap: 1.25rem; list-style: none; padding: 0; margin-left: auto; }
    .scroll { overflow-x: auto; }
    table { width: 100%; border-collapse: collapse; margin-top: .6rem; font-size: .9375rem;
      font-variant-numeric: tabular-nums; }
    th, td { text-align: left; padding: .4rem .75rem .4rem 0; white-space: nowrap;
      border-bottom: 1px solid var(--line); }
    th { color: var(--quiet); font-weight: 500; font-size: .8125rem; }
    tr:last-child td { border-bottom: 0; }
    .number { text-align: right; }
    .velocity { color: var(--velocity); } .travel { color: var(--travel); }
    .amount { color: var(--amount); }
    .rule { font-weight: 600; }
    tbody tr.new { animation: new 1.5s ease-out; }
    @keyframes new { from { background: color-mix(in srgb, var(--accent) 22%, transparent); } }
    @media (prefers-reduced-motion: reduce) { tbody tr.new { animation: none; } }
    </style>
    </head>
    <body>
    <main>
      <header><h1>Fraud detection</h1><span id="link" role="status">connecting</span></header>
      <section aria-label="Payments">
        <dl>
          <div><dt>Payments per second</dt><dd id="rate">–</dd></div>
          <div><dt>Payments since the start</dt><dd id="total">–</dd></div>
          <div><dt>Alerts seen here</dt><dd id="count">0</dd></div>
        </dl>
        <svg viewBox="0 0 600 100" preserveAspectRatio="none" role="img"
          aria-label="Payments per second over the last minute">
          <path id="area"/><path id="curve"/>
        </svg>
        <p class="quiet top"><span>the last minute</span><span id="most"
          style="margin-left:auto"></span></p>
      </section>
      <section aria-label="Alerts">
        <div class="top"><h2>Alerts</h2>
          <ul class="quiet">
            <li><span class="rule velocity">velocity</span> <span id="velocity">0</span></li>
            <li><span class="rule travel">travel</span> <span id="travel">0</span></li>
            <li><span class="rule amount">amount</span> <span id="amount">0</span></li>
          </ul>
        </div>
        <p class="quiet" id="none">None so far.</p>
        <div class="scroll"><table hidden>
          <thead><tr><th>Time of the payment</th><th>Rule</th><th>Card</th>
            <th class="number">Score</th><th>Payments</th></tr></thead>
          <tbody id="alerts"></tbody>
        </table></div>
      </section>
    </main>
    <script>
    "use strict";
    const at = id => document.getElementById(id);
    const whole = new Intl.NumberFormat();
    const seconds = Array(60).fill(0), shown = 50, open = new Set();
    let count = 0, rate = 0;

    function listen(path, use) {
      const scheme = location.protocol === "https:" ? "wss://" : "ws://";
      const socket = new WebSocket(scheme + location.host + path);
      socket.onopen = () => { open.add(path); link(); };
      socket.onmessage = event => use(JSON.parse(event.data));
      socket.onclose = () => {
        open.delete(path); link();
        setTimeout(() => listen(path, use), 1000);
      };
    }
    function link() {
      at("link").className = open.size === 2 ? "on" : "";
      at("link").textContent = open.size === 2 ? "live" : "not connected, trying again";
    }
    function title() {
      const alerts = count === 1 ? "1 alert" : `${count} alerts`;
      document.title = `${rate}/s · ${alerts} – Fraud detection`;
    }
    function draw() {
      const most = Math.max(...seconds, 1);
      const points = seconds.map((n, i) =>
        `${(i * 600 / 59).toFixed(1)} ${(98 - 94 * n / most).toFixed(1)}`);
      at("curve").setAttribute("d", "M" + points.join("L"));
      at("area").setAttribute("d", "M0 98L" + points.join("L") + "L600 98Z");
      at("most").textContent = "at most " + whole.format(Math.max(...seconds)) + " a second";
    }
    listen("/stats", stats => {
      seconds.push(stats.payments); seconds.shift();
      at("rate").textContent = whole.format(stats.payments);
      at("total").textContent = whole.format(stats.total);
      rate = stats.payments;
      draw(); title();
    });
    listen("/alerts", alert => {
      at("none").hidden = true;
      at("alerts").closest("table").hidden = false;
      at("count").textContent = whole.format(++count);
      title();
      const tally = at(alert.rule);
      if (tally) tally.textContent = +tally.textContent + 1;
      const row = document.createElement("tr");
      const ids = alert.payments;
      const cells = [
        [alert.at.replace("T", " ").replace(/(\.\d+)?Z$/, ""), ""],
        [alert.rule, "rule " + alert.rule], [alert.card, ""],
        [alert.score.toFixed(2), "number"],
        [ids.slice(0, 3).join(", ") + (ids.length > 3 ? ` and ${ids.length - 3} more` : ""), ""],
      ];
      for (const [text, style] of cells) {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.className = style;
      }
      row.className = "new";
      at("alerts").prepend(row);
      while (at("alerts").rows.length > shown) at("alerts").deleteRow(-1);
    });
    draw();
    </script>
    </body>
    </html>
    """#
