"use strict";
(function () {
  function el(name, cls, parent) {
    var e = document.createElement(name);
    if (cls) e.className = cls;
    if (parent) parent.appendChild(e);
    return e;
  }
  document.querySelectorAll("table").forEach(function (table) {
    var body = table.tBodies[0];
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (th, at) {
      function sort() {
        var down = th.getAttribute("aria-sort") !== "descending";
        if (!th.hasAttribute("aria-sort") && !th.classList.contains("n")) down = false;
        table.querySelectorAll("th").forEach(function (o) { o.removeAttribute("aria-sort"); });
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
        var rows = Array.prototype.slice.call(body.rows);
        rows.sort(function (a, b) {
          var x = a.cells[at].getAttribute("data-v"), y = b.cells[at].getAttribute("data-v"), d;
          if (x === null) d = a.cells[at].textContent.localeCompare(b.cells[at].textContent);
          else d = (x === "" ? -Infinity : +x) - (y === "" ? -Infinity : +y) || 0;
          return down ? -d : d;
        });
        rows.forEach(function (row) { body.appendChild(row); });
      }
      th.tabIndex = 0;
      th.addEventListener("click", sort);
      th.addEventListener("keydown", function (e) {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); sort(); }
      });
    });
  });
  document.querySelectorAll("figure[data-chart]").forEach(function (figure) {
    var d = JSON.parse(figure.getAttribute("data-chart"));
    var svg = figure.querySelector("svg"), tip = null, line = null;
    function gone() {
      if (tip) { tip.remove(); line.remove(); tip = line = null; }
    }
    svg.addEventListener("pointerleave", gone);
    svg.addEventListener("pointermove", function (e) {
      var box = svg.getBoundingClientRect(), x = (e.clientX - box.left) / box.width * d.width;
      var at = Math.floor((x - d.left) / (d.right - d.left) * d.words.length);
      if (at < 0 || at >= d.words.length) { gone(); return; }
      if (!tip) {
        tip = el("div", "tip", figure);
        line = document.createElementNS("http://www.w3.org/2000/svg", "line");
        line.setAttribute("class", "cursor");
        line.setAttribute("y1", d.top);
        line.setAttribute("y2", d.bottom);
        svg.appendChild(line);
      }
      var middle = d.left + (at + 0.5) * (d.right - d.left) / d.words.length;
      line.setAttribute("x1", middle);
      line.setAttribute("x2", middle);
      tip.textContent = "";
      el("div", "dim", tip).textContent = d.words[at];
      d.series.forEach(function (s) {
        if (s.v[at] === "") return;
        var row = el("div", "", tip);
        el("i", s.k, row);
        row.appendChild(document.createTextNode(s.n + "  " + s.v[at]));
      });
      var px = middle / d.width * box.width;
      tip.style.left = px < box.width / 2 ? px + 14 + "px" : "auto";
      tip.style.right = px < box.width / 2 ? "auto" : box.width - px + 14 + "px";
    });
  });
  function open() {
    var found = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (found && found.tagName === "DETAILS") found.open = true;
  }
  window.addEventListener("hashchange", open);
  open();
})();
