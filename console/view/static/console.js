// What pages need of scripts: charts are drawn, pieces renewed when the server says
// that something has changed, and it is said when the server does not answer. Every
// page works without it.
"use strict";
(function () {
  var style = function (name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); };

  function draw(at) {
    var c = JSON.parse(at.dataset.chart), colours = [style("--good"), style("--look"), style("--bad"), style("--quiet")];
    if (!c.times.length) { return; }
    var axis = { stroke: style("--quiet"), grid: { stroke: style("--edge"), width: 1 }, ticks: { stroke: style("--edge"), width: 1 } };
    var options = {
      width: Math.max(at.clientWidth, 200), height: 190,
      cursor: { drag: { x: false, y: false } },
      axes: [axis, Object.assign({ size: 60 }, axis)],
      series: [{ value: function (u, v) { return v == null ? "–" : new Date(v * 1000).toLocaleString(); } }]
    };
    c.series.forEach(function (s, i) {
      options.series.push({ label: s.name, stroke: colours[i % colours.length], width: 2, dash: s.dashed ? [6, 4] : undefined, points: { show: false }, spanGaps: false });
    });
    at.textContent = "";
    var plot = new uPlot(options, [c.times].concat(c.series.map(function (s) { return s.values; })), at);
    at.tabIndex = 0;
    at.addEventListener("keydown", function (e) {
      var step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!step) { return; }
      e.preventDefault();
      var n = c.times.length, i = plot.cursor.idx == null ? n - 1 : plot.cursor.idx + step;
      i = Math.min(Math.max(i, 0), n - 1);
      plot.setCursor({ left: plot.valToPos(c.times[i], "x"), top: plot.bbox.height / devicePixelRatio / 2 });
    });
    new ResizeObserver(function () {
      var w = Math.max(at.clientWidth, 200);
      if (Math.abs(w - plot.width) > 1) { plot.setSize({ width: w, height: 190 }); }
    }).observe(at);
  }

  function charts(under) {
    if (under.querySelectorAll && window.uPlot) { under.querySelectorAll("[data-chart]").forEach(draw); }
  }

  var lost = null;
  function reached(yes) {
    var say = document.getElementById("lost");
    if (!say) { return; }
    if (yes) { lost = null; say.hidden = true; return; }
    if (!lost) { lost = new Date(); say.querySelector("time").textContent = lost.toLocaleTimeString(); }
    say.hidden = false;
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
  }

  document.addEventListener("DOMContentLoaded", function () { charts(document); listen(); });
  document.addEventListener("htmx:afterSwap", function (e) { charts(e.target); });
  document.addEventListener("htmx:sendError", function () { reached(false); });
  document.addEventListener("htmx:afterRequest", function (e) { if (e.detail.successful) { reached(true); } });
})();
