'use strict';
(async () => {
  // The data is compressed: see the page's maker.
  const packed = Uint8Array.from(atob(document.getElementById('data').textContent), (c) => c.charCodeAt(0));
  const data = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'))).json();
  const byId = (id) => document.getElementById(id);
  const [chart, panel, tip] = [byId('chart'), byId('moment'), byId('tip')];
  const LABEL = 96, GAP = 8, AXIS = 22;
  const end = Math.max(data.end, 1);
  let view = [0, end];
  let picked = -1;
  let query = '';

  const html = (name, props = {}, ...children) => {
    const element = Object.assign(document.createElement(name), props);
    element.append(...children);
    return element;
  };
  const svg = (name, attributes) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const seconds = (millis) => `${(millis / 1000).toFixed(3)} s`;
  const clock = (millis) => {
    const s = Math.round(millis / 1000);
    const pad = (n) => String(n).padStart(2, '0');
    const h = Math.floor(s / 3600);
    return `${h ? `${h}:` : ''}${h ? pad(Math.floor(s / 60) % 60) : Math.floor(s / 60)}:${pad(s % 60)}`;
  };

  // -- lanes: who is drawn where ---------------------------------------------------------------------------

  // Puts each item into the first row in which it does not overlap what is there already.
  const pack = (items) => {
    const ends = [];
    for (const item of items.slice().sort((a, b) => a.from - b.from)) {
      let row = ends.findIndex((until) => until <= item.from);
      if (row < 0) row = ends.push(0) - 1;
      ends[row] = Math.max(item.to, item.from + 1);
      item.row = row;
    }
    return Math.max(ends.length, 1);
  };
  for (const bar of data.bars) [bar.from, bar.to] = [bar.parts[0][0], bar.end];
  const lanes = [];
  const addLane = (name, key, items) => lanes.push({ name, key, items, rows: pack(items) });
  addLane('deployments', 'deployments', data.deployments);
  addLane('scheduler', 'scheduler', data.scheduler);
  addLane('waiting', 'waiting', data.bars.filter((bar) => !bar.agent));
  data.agents.forEach((name, index) => addLane(name, index, data.bars.filter((bar) => bar.agent === name)));
  // Few rows may be as tall as is good to look at, many have to be thin.
  const ROW = lanes.reduce((rows, lane) => rows + lane.rows, 0) > 30 ? 9 : 16;
  let height = AXIS;
  for (const lane of lanes) {
    [lane.y, lane.height] = [height, Math.max(lane.rows * ROW, 14)];
    height += lane.height + GAP;
  }

  // -- drawing ---------------------------------------------------------------------------------------------

  const draw = () => {
    const width = Math.max(chart.clientWidth, 300);
    const scale = (width - LABEL - 8) / (view[1] - view[0]);
    const x = (t) => LABEL + (t - view[0]) * scale;
    const isSeen = (from, to) => to >= view[0] && from <= view[1];
    const pieces = [];
    // A span in sight, cut at the edges of the view.
    const rect = (from, to, y, h, attributes, about) => {
      if (!isSeen(from, to)) return;
      const left = Math.max(x(from), LABEL);
      const piece = svg('rect', { x: left, y, width: Math.max(Math.min(x(to), width - 8) - left, 1.5), height: h, ...attributes });
      piece.about = about;
      pieces.push(piece);
    };
    chart.setAttribute('height', height);
    chart.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000].map((s) => s * 1000)
      .find((s) => s * scale > 70) ?? 86400000;
    for (let t = Math.ceil(view[0] / step) * step; t <= view[1]; t += step) {
      pieces.push(svg('line', { x1: x(t), x2: x(t), y1: AXIS - 6, y2: height, class: 'edge' }));
      const label = svg('text', { x: x(t), y: 12, 'text-anchor': 'middle', class: 'faint' });
      label.textContent = clock(t);
      pieces.push(label);
    }
    for (const lane of lanes) {
      pieces.push(svg('rect', { x: LABEL, y: lane.y - 2, width: width - LABEL - 8, height: lane.height + 4, class: 'lane', rx: 3 }));
      const label = svg('text', { x: 8, y: lane.y + 11 });
      label.textContent = lane.name;
      pieces.push(label);
    }
    for (const shade of data.faults) {
      const lane = lanes.find((lane) => lane.key === shade.agent);
      const [y, h] = lane ? [lane.y - 2, lane.height + 4] : [AXIS - 4, height - AXIS];
      const text = `${shade.what}\n${seconds(shade.from)} to ${seconds(shade.to)}`;
      const about = { text, moment: shade.moment };
      if (shade.to > shade.from) {
        rect(shade.from, shade.to, y, h, { class: shade.index === null ? 'shade view' : 'shade' }, about);
      } else if (isSeen(shade.from, shade.from)) {
        const line = svg('line', { x1: x(shade.from), x2: x(shade.from), y1: y, y2: y + h, class: 'strike' });
        line.about = about;
        pieces.push(line);
      }
    }
    for (const lane of lanes) {
      for (const item of lane.items) {
        if (!isSeen(item.from, item.to)) continue;
        const y = lane.y + item.row * ROW;
        if (!item.parts) {
          const kind = item.what.startsWith('down') ? ' down' : /^(connecting|disconnected)/.test(item.what) ? ' waiting' : '';
          const text = `${item.what}\n${seconds(item.from)} to ${seconds(item.to)}`;
          rect(item.from, item.to, y, ROW - 2, { class: `stretch${kind}${dim(item.what)}` }, { text, moment: item.moment });
          continue;
        }
        item.parts.forEach(([from, condition, leaving, moment], index) => {
          const to = item.parts[index + 1]?.[0] ?? item.to;
          const classes = `part ${condition}${leaving ? ' leaving' : ''}${dim(item.name)}${moment === picked ? ' picked' : ''}`;
          const text = `${item.name}: ${condition}${leaving ? ', to end' : ''}\n${seconds(from)} to ${seconds(to)}`;
          rect(from, to, y, ROW - 2, { class: classes, 'data-name': item.name, 'data-moment': moment }, { text, moment });
        });
      }
    }
    if (picked >= 0) {
      const at = data.moments[picked].at;
      if (isSeen(at, at)) pieces.push(svg('line', { x1: x(at), x2: x(at), y1: AXIS - 8, y2: height, class: 'cursor' }));
    }
    chart.replaceChildren(...pieces);
  };

  const dim = (name) => (query && barsHit && !name.toLowerCase().includes(query) ? ' dim' : '');
  let barsHit = false;
  let isDue = false;
  const redraw = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; draw(); });
  };

  // -- one moment ------------------------------------------------------------------------------------------

  const text = (value) => (typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value));
  const section = (title, ...children) => [html('h3', { textContent: title }), ...children];
  const fold = (title, value, open) => {
    const pre = html('pre', { textContent: typeof value === 'string' ? value : JSON.stringify(value, null, 2) });
    return html('details', { open }, html('summary', { textContent: title }), pre);
  };

  const change = ({ key, difference }) => {
    const rows = difference.map(([path, old, now]) => html('tr', {},
      html('td', { className: 'path', textContent: path }),
      html('td', {}, html('span', { className: 'old', textContent: text(old) }), ' ', html('span', { className: 'new', textContent: text(now) }))));
    return html('details', { open: difference.length < 12 }, html('summary', {}, html('code', { textContent: key })),
      html('table', {}, html('tbody', {}, ...rows)));
  };

  const pick = (index, centre) => {
    picked = Math.max(0, Math.min(index, data.moments.length - 1));
    const moment = data.moments[picked];
    if (!moment) return;
    if (centre && (moment.at < view[0] || moment.at > view[1])) {
      const half = (view[1] - view[0]) / 2;
      show(moment.at - half, moment.at + half);
    }
    const button = (label, to, title) => html('button', { textContent: label, title, disabled: to < 0 || to >= data.moments.length, onclick: () => pick(to, true) });
    const nothing = (what) => html('span', { className: 'faint', textContent: what });
    const isInner = moment.input !== undefined || moment.actions || moment.records || moment.what === 'tick' || moment.what === 'disconnected';
    panel.replaceChildren(
      html('div', { className: 'steps' },
        html('span', { textContent: `moment ${picked + 1} of ${data.moments.length}, at ${seconds(moment.at)}` }),
        button('◀', picked - 1, 'The moment before (←)'), button('▶', picked + 1, 'The next moment (→)')),
      html('h2', { textContent: moment.what }),
      ...section('Verdict', moment.violation
        ? html('div', { id: 'oracle', className: 'verdict bad', textContent: moment.violation })
        : html('div', { id: 'oracle', className: 'verdict good', textContent: 'no rule was violated' })),
      ...(isInner ? [
        ...section('Input', moment.input === undefined ? nothing(moment.what) : fold(moment.what, moment.input, JSON.stringify(moment.input).length < 1500)),
        ...section('Records, and what they changed', ...(moment.records?.map(change) ?? [nothing('nothing became durable')])),
        ...section('Actions', ...(moment.actions?.map(([what, value]) => fold(what, value, false)) ?? [nothing('none')])),
      ] : section('Input', nothing('this happened outside of the scheduler'))),
      ...(moment.story ? section('What followed', html('table', {}, html('tbody', {}, ...moment.story.map((line) => html('tr', {}, ...line.map((cell) => html('td', { textContent: cell }))))))) : []),
    );
    redraw();
  };

  // -- search ----------------------------------------------------------------------------------------------

  const haystack = data.moments.map((moment) => JSON.stringify(moment).toLowerCase());
  const search = () => {
    query = byId('search').value.trim().toLowerCase();
    barsHit = query !== '' && data.bars.some((bar) => bar.name.toLowerCase().includes(query));
    const results = byId('results');
    results.hidden = !query;
    if (query) {
      const hits = haystack.map((hay, index) => (hay.includes(query) ? index : -1)).filter((index) => index >= 0);
      const MOST = 200;
      const rows = hits.slice(0, MOST).map((index) => {
        const moment = data.moments[index];
        const line = moment.story?.find((cells) => cells.join(' ').toLowerCase().includes(query));
        const what = line ? line.filter(Boolean).join(' · ') : moment.what;
        return html('button', { className: 'hit', onclick: () => pick(index, true) },
          html('time', { textContent: seconds(moment.at) }), html('span', { textContent: what }));
      });
      const count = `${hits.length} moment${hits.length === 1 ? '' : 's'}${hits.length > MOST ? `, the first ${MOST}` : ''}`;
      results.replaceChildren(html('div', { id: 'count', className: 'faint', textContent: count }), ...rows);
    }
    redraw();
  };

  // -- zoom ------------------------------------------------------------------------------------------------

  const show = (from, to) => {
    const length = Math.min(Math.max(to - from, 50), end);
    const left = Math.max(0, Math.min(from, end - length));
    view = [left, left + length];
    redraw();
  };
  const timeAt = (event) => {
    const box = chart.getBoundingClientRect();
    return view[0] + Math.max(event.clientX - box.left - LABEL, 0) / Math.max(box.width - LABEL - 8, 1) * (view[1] - view[0]);
  };
  const zoom = (factor, at = data.moments[picked]?.at ?? (view[0] + view[1]) / 2) => {
    const centre = at < view[0] || at > view[1] ? (view[0] + view[1]) / 2 : at;
    show(centre - (centre - view[0]) * factor, centre + (view[1] - centre) * factor);
  };
  byId('in').onclick = () => zoom(0.5);
  byId('out').onclick = () => zoom(2);
  byId('all').onclick = () => show(0, end);
  byId('search').oninput = search;
  byId('theme').onclick = () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = isDark ? 'light' : 'dark';
  };
  byId('time').addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    if (event.ctrlKey) zoom(event.deltaY < 0 ? 0.8 : 1.25, timeAt(event));
    else show(view[0] + (view[1] - view[0]) * Math.sign(event.deltaY) / 10, view[1] + (view[1] - view[0]) * Math.sign(event.deltaY) / 10);
  }, { passive: false });
  let drag = null;
  chart.addEventListener('pointerdown', (event) => { drag = { x: event.clientX, view: [...view], moved: false }; });
  addEventListener('pointermove', (event) => {
    if (drag && event.buttons) {
      const by = (drag.x - event.clientX) / Math.max(chart.clientWidth - LABEL - 8, 1) * (drag.view[1] - drag.view[0]);
      drag.moved ||= Math.abs(event.clientX - drag.x) > 4;
      if (drag.moved) show(drag.view[0] + by, drag.view[1] + by);
      return;
    }
    const about = event.target.about;
    tip.hidden = !about;
    if (about) {
      tip.textContent = about.text;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 430)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    }
  });
  chart.addEventListener('click', (event) => {
    const wasDragged = drag?.moved;
    drag = null;
    if (wasDragged) return;
    if (event.target.about) { pick(event.target.about.moment, false); return; }
    // Beside everything: the last moment before that time.
    const at = timeAt(event);
    let [low, high] = [0, data.moments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.moments[middle].at <= at) low = middle + 1; else high = middle;
    }
    pick(low - 1, false);
  });
  addEventListener('keydown', (event) => {
    if (event.target.tagName === 'INPUT') return;
    const keys = { ArrowLeft: () => pick(picked - 1, true), ArrowRight: () => pick(picked + 1, true), '+': () => zoom(0.5), '-': () => zoom(2), 0: () => show(0, end), '/': () => byId('search').focus() };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  addEventListener('resize', redraw);

  // -- the frame -------------------------------------------------------------------------------------------

  byId('about').textContent = byId('about').title = data.about;
  const verdict = byId('verdict');
  verdict.className = `chip ${data.violation ? 'bad' : 'good'}`;
  verdict.textContent = verdict.title = data.violation ?? 'all oracles are content';
  verdict.onclick = () => pick(data.violation ? data.moments.findLastIndex((moment) => moment.violation) : data.moments.length - 1, true);
  const legend = [['Scheduled', 'waits'], ['Starting', 'starts'], ['Running', 'runs'], ['Killing', 'is being ended'], ['Unreachable', 'out of reach'], ['UnreachableInactive', 'out of reach for long'], ['Failed', 'failed'], ['Killed', 'ended']];
  const colours = { Scheduled: 'scheduled', Starting: 'starting', Running: 'running', Killing: 'killing', Unreachable: 'unreachable', UnreachableInactive: 'inactive', Failed: 'failed', Killed: 'ended' };
  byId('legend').append(...legend.map(([condition, words]) => {
    const mark = html('i');
    mark.style.background = `var(--${colours[condition]})`;
    return html('span', {}, mark, words);
  }), html('span', { textContent: 'red shade: a fault · drag to move, Ctrl and wheel to zoom, ← → to step, / to search' }));
  panel.append(html('p', { className: 'faint', textContent: 'Click a bar, a shade or any point in time to see what happened then.' }));
  draw();
})();
