// What pages need of scripts: charts are drawn, pieces renewed when the server says
// that something has changed, and it is said when the server does not answer. Every
// page works without it. What only some pages need is asked for by those.
"use strict";
(function () {
  var style = function (name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); };

  function need(selector, file, then) {
    if (!document.querySelector(selector)) { return; }
    var s = document.createElement("script");
    s.src = file;
    s.addEventListener("load", then);
    document.head.appendChild(s);
  }

  function draw(at) {
    var c = JSON.parse(at.dataset.chart), colours = [style("--good"), style("--look"), style("--bad"), style("--quiet")];
    if (!c.times.length) { return; }
    var font = "12px system-ui, sans-serif";
    var axis = { stroke: style("--quiet"), font: font, grid: { stroke: style("--edge"), width: 1 }, ticks: { stroke: style("--edge"), width: 1 } };
    var two = function (n) { return (n < 10 ? "0" : "") + n; };
    var clock = function (v) {
      var d = new Date(v * 1000), long = c.times[c.times.length - 1] - c.times[0] > 72000;
      return (long ? two(d.getMonth() + 1) + "-" + two(d.getDate()) + " " : "") + two(d.getHours()) + ":" + two(d.getMinutes());
    };
    var options = {
      width: Math.max(at.clientWidth, 200), height: 180,
      cursor: { drag: { x: false, y: false } },
      axes: [Object.assign({ space: 70, values: function (u, all) { return all.map(clock); } }, axis), Object.assign({ size: 54 }, axis)],
      scales: { y: { range: function (u, low, high) { return [0, high > 0 ? high * 1.1 : 1]; } } },
      series: [{ label: at.dataset.time, value: function (u, v) { return v == null ? "–" : clock(v); } }]
    };
    c.series.forEach(function (s, i) {
      options.series.push({
        label: s.name, stroke: colours[i % colours.length], width: 2, dash: s.dashed ? [[6, 4], [2, 3]][i % 2 ? 0 : 1] : undefined, points: { show: s.values.some(function (v) { return v == null; }), size: 5 }, spanGaps: false,
        value: function (u, v) { return v == null ? "–" : String(Math.round(v * 100) / 100); }
      });
    });
    at.textContent = "";
    var plot = new uPlot(options, [c.times].concat(c.series.map(function (s) { return s.values; })), at);
    var legend = at.querySelector(".u-legend");
    if (legend) { legend.setAttribute("aria-live", "polite"); }
    at.tabIndex = 0;
    at.addEventListener("keydown", function (e) {
      var n = c.times.length, i = plot.cursor.idx == null ? n : plot.cursor.idx;
      var to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: n - 1 }[e.key];
      if (to === undefined) { return; }
      e.preventDefault();
      plot.setCursor({ left: plot.valToPos(c.times[Math.min(Math.max(to, 0), n - 1)], "x"), top: 10 });
    });
    new ResizeObserver(function () {
      var w = Math.max(at.clientWidth, 200);
      if (Math.abs(w - plot.width) > 1) { plot.setSize({ width: w, height: 180 }); }
    }).observe(at);
  }

  function charts() {
    var sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = "/static/vendor/uplot.min.css";
    sheet.addEventListener("load", function () { document.querySelectorAll("[data-chart]").forEach(draw); });
    document.head.appendChild(sheet);
  }

  // On a narrow window a row of a table is a list: each value says what it is, and stays a
  // cell for whoever listens.
  function stack() {
    document.querySelectorAll("table:not(.keep):not(.u-legend):not(.stack)").forEach(function (table) {
      var heads = [].map.call(table.querySelectorAll("thead th"), function (h) { return h.textContent.trim(); });
      if (!heads.length) { return; }
      table.classList.add("stack");
      table.querySelectorAll("tbody tr").forEach(function (r) {
        if (r.cells.length !== heads.length) { return; }
        [].forEach.call(r.cells, function (c, i) { if (c.tagName === "TD" && heads[i]) { c.dataset.label = heads[i]; } });
      });
      if (!table.querySelector("caption :is(h2, h3)")) { name(table); } // no table by its role may hold a heading
    });
  }
  function name(table) {
    var roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", "thead th": "columnheader", "tbody th": "rowheader", td: "cell" };
    table.setAttribute("role", roles.table);
    Object.keys(roles).forEach(function (at) { table.querySelectorAll(at).forEach(function (e) { e.setAttribute("role", roles[at]); }); });
  }

  var lost = null;
  function reached(yes) {
    var say = document.getElementById("lost");
    if (!say) { return; }
    if (yes) { lost = null; say.hidden = true; return; }
    if (!lost) { lost = new Date(); say.querySelector("time").textContent = lost.toLocaleTimeString("en-GB"); }
    say.hidden = false;
  }

  // A piece that is renewed keeps what somebody does in it: where the keyboard is, and how far
  // its parts were scrolled.
  var kept = null;
  function keep(e) {
    var at = document.activeElement, within = e.detail.target;
    kept = {
      href: within.contains(at) && at.getAttribute("href"), label: within.contains(at) && at.getAttribute("aria-label"),
      scrolled: [].map.call(within.querySelectorAll(".scroll"), function (s) { return [s.scrollLeft, s.scrollTop]; })
    };
  }
  function restore(within) {
    if (!kept) { return; }
    [].forEach.call(within.querySelectorAll(".scroll"), function (s, i) { if (kept.scrolled[i]) { s.scrollLeft = kept.scrolled[i][0]; s.scrollTop = kept.scrolled[i][1]; } });
    [].some.call(within.querySelectorAll("a[href], .scroll"), function (a) {
      var same = kept.href ? a.getAttribute("href") === kept.href : kept.label && a.getAttribute("aria-label") === kept.label;
      if (same) { a.focus({ preventScroll: true }); }
      return same;
    });
    kept = null;
  }

  function listen() {
    var at = document.querySelector("[data-events]");
    if (!at || !window.EventSource) { return; }
    var source = new EventSource(at.dataset.events);
    source.onopen = function () { reached(true); };
    source.onerror = function () { reached(false); };
    source.addEventListener("changed", function () {
      reached(true);
      if (window.htmx) { htmx.trigger(document.body, "changed"); }
    });
    window.addEventListener("pagehide", function () { source.close(); });
  }

  stack();
  document.addEventListener("htmx:beforeSwap", keep);
  document.addEventListener("htmx:afterSwap", stack);
  document.addEventListener("htmx:afterSettle", function (e) { restore(document.getElementById(e.target.id) || e.target); });
  document.addEventListener("htmx:sendError", function () { reached(false); });
  document.addEventListener("htmx:afterRequest", function (e) { if (e.detail.successful) { reached(true); } });
  need("[data-chart]", "/static/vendor/uplot.min.js", charts);
  window.addEventListener("load", function () { // from then on htmx begins at once when it is there
    need("[hx-get], [hx-post]", "/static/vendor/htmx.min.js", listen);
  });
})();
