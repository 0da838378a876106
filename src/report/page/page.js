(() => {
'use strict';
const byId = id => document.getElementById(id), make = (tag, attributes = {}, ...inner) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inner);
  return node;
};
const svg = (tag, attributes = {}) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const data = JSON.parse(byId('data').textContent);
const body = byId('rows'), rows = [...body.rows], table = byId('table'), detail = byId('detail');
const indexById = new Map(rows.map((row, at) => [row.id, at]));
const time = ms => {
  if (ms < 1000) return Math.round(ms) + 'ms';
  if (ms < 59950) return (ms / 1000).toFixed(1) + 's';
  const s = Math.round(ms / 1000), two = n => String(n).padStart(2, '0');
  return s < 3600 ? `${Math.floor(s / 60)}m ${two(s % 60)}s` : `${Math.floor((s + 30) / 3600)}h ${two(Math.floor((s + 30) / 60) % 60)}m`;
};

// Theme.
const theme = byId('theme'), themes = ['auto', 'light', 'dark'];
theme.hidden = false;
theme.addEventListener('click', () => {
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme || 'auto') + 1) % 3];
  document.documentElement.dataset.theme = next;
  theme.textContent = 'Theme: ' + next;
});

// History charts, drawn when they scroll into view. Outcomes are single letters.
const failedLetters = 'ftxcau';
const pastRuns = session => session.history_centis.map((wall, at) => ({ wall: wall === null ? null : wall * 10, outcome: session.history_outcomes[at], at }));
const median = values => [...values].sort((a, b) => a - b)[Math.max(0, values.length - 1) >> 1];
function drawSparkline(session, width, height) {
  const runs = pastRuns(session), timedRuns = runs.filter(run => run.wall !== null);
  if (timedRuns.length < 2) return null;
  const longest = Math.max(...timedRuns.map(run => run.wall)) || 1, step = width / Math.max(1, runs.length - 1);
  const x = run => +(run.at * step).toFixed(1), y = run => +(height - 3 - run.wall / longest * (height - 6)).toFixed(1);
  const passes = timedRuns.filter(run => !failedLetters.includes(run.outcome)), usual = passes.length ? median(passes.map(run => run.wall)) : null;
  const chart = svg('svg', { viewBox: `-3 0 ${width + 6} ${height}`, width, height, role: 'img',
    'aria-label': `${timedRuns.length} runs` + (usual === null ? '' : `, median ${time(usual)}`) + `, longest ${time(longest)}, ${timedRuns.length - passes.length} failed` });
  if (usual !== null) chart.append(svg('line', { class: 'mid', x1: 0, x2: width, y1: y({ wall: usual }), y2: y({ wall: usual }) }));
  const line = timedRuns.map(run => `${x(run)} ${y(run)}`).join('L');
  chart.append(svg('path', { class: 'area', d: `M${x(timedRuns[0])} ${height - 3}L${line}L${x(timedRuns[timedRuns.length - 1])} ${height - 3}Z` }));
  chart.append(svg('path', { class: 'spark', d: 'M' + line }));
  for (const run of timedRuns.filter(run => failedLetters.includes(run.outcome)))
    chart.append(svg('path', { class: 'cross', d: `M${x(run) - 2.5} ${y(run) - 2.5}l5 5m-5 0l5-5` }));
  const last = timedRuns[timedRuns.length - 1];
  chart.append(svg('circle', { class: 'dot', cx: x(last), cy: y(last), r: 2.2 }));
  return chart;
}
const observer = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) {
    observer.unobserve(entry.target);
    const cell = entry.target.querySelector('td.p'), chart = cell && drawSparkline(data.sessions[indexById.get(entry.target.id)], 110, 24);
    if (chart) cell.append(chart);
  }
}, { rootMargin: '400px' });
rows.forEach(row => observer.observe(row));
addEventListener('beforeprint', () => rows.forEach(row => {
  const cell = row.querySelector('td.p'), chart = !cell || cell.firstChild ? null : drawSparkline(data.sessions[indexById.get(row.id)], 110, 24);
  if (chart) cell.append(chart);
}));

// Filter.
const form = byId('filter'), query = byId('query'), count = byId('count'), none = byId('none');
form.hidden = false;
const texts = data.sessions.map((session, at) =>
  [session.name, session.outcome, session.description, session.reason, ...(session.locks || []), rows[at].classList.contains('crit') ? 'critical' : ''].join(' ').toLowerCase());
const shows = {
  all: () => true, failed: at => data.sessions[at].failed, flaky: at => data.sessions[at].flaky,
  stopped: at => data.sessions[at].stopped, critical: at => rows[at].classList.contains('crit'), slower: at => data.sessions[at].slower,
};
function filter() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean), show = shows[form.elements.show.value] || shows.all;
  let shown = 0;
  rows.forEach((row, at) => {
    row.hidden = !(show(at) && words.every(word => texts[at].includes(word)));
    row.style.display = row.hidden ? 'none' : '';
    shown += !row.hidden;
  });
  count.textContent = shown === rows.length ? `${rows.length} session${rows.length === 1 ? '' : 's'}` : `${shown} of ${rows.length} sessions`;
  none.hidden = shown > 0;
  arrows();
}
const clear = () => { query.value = ''; form.elements.show.value = 'all'; filter(); };
form.addEventListener('input', filter);
form.addEventListener('submit', event => event.preventDefault());
byId('clear').addEventListener('click', () => { clear(); query.focus(); });

// Sorting.
// `data-sort` is the field of a session in `data`.
for (const head of document.querySelectorAll('th[data-sort]')) {
  const label = head.dataset.sort === 'start' ? 'start' : head.textContent, button = make('button', { type: 'button' }, label);
  if (head.dataset.sort === 'start') head.prepend(button); else head.replaceChildren(button);
  button.addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') === 'ascending' || (!head.hasAttribute('aria-sort') && !['name', 'start'].includes(head.dataset.sort));
    document.querySelectorAll('th[aria-sort]').forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const order = rows.map((row, at) => [data.sessions[at][head.dataset.sort], at, row]);
    order.sort(([a, i], [b, j]) => {
      if (a == null || b == null) return (a == null) - (b == null) || i - j;
      return (typeof a === 'string' ? a.localeCompare(b, undefined, { numeric: true }) : a - b) * (down ? -1 : 1) || i - j;
    });
    body.append(...order.map(([, , row]) => row));
    arrows();
  });
}

// Needs as arrows: of the selected session, otherwise of all if they are few.
const layer = byId('arrows');
let selected = null;
const edges = data.sessions.flatMap((session, to) => (session.needs || []).map(([from, why]) => ({ from, to, why })));
// A notified session waits for all that were queued: arrows from all of them say nothing.
const drawn = edges.filter(edge => edge.why !== 'notify');
function arrows() {
  layer.replaceChildren();
  rows.forEach(row => row.classList.remove('need'));
  if (!table.offsetParent || getComputedStyle(layer).display === 'none') return;
  const shown = selected === null ? (drawn.length <= 150 ? drawn : []) : drawn.filter(edge => edge.from === selected || edge.to === selected);
  const origin = table.getBoundingClientRect(), barEnd = (at, end) => {
    const bars = rows[at].querySelectorAll('i.r'), bar = end ? bars[bars.length - 1] : bars[0];
    if (!bar || rows[at].hidden) return null;
    const box = bar.getBoundingClientRect();
    return [(end ? box.right : box.left) - origin.left + table.scrollLeft, box.top + box.height / 2 - origin.top + table.scrollTop];
  };
  for (const edge of shown) {
    const a = barEnd(edge.from, true), b = barEnd(edge.to, false);
    if (selected !== null) rows[edge.from === selected ? edge.to : edge.from].classList.add('need');
    if (!a || !b) continue;
    const bend = Math.max(8, Math.min(40, (b[0] - a[0]) / 2)), r = n => n.toFixed(1);
    layer.append(svg('path', { class: (selected === null ? '' : 'on') + (edge.why === 'requires' ? '' : ' soft'),
      d: `M${r(a[0])} ${r(a[1])}C${r(a[0] + bend)} ${r(a[1])} ${r(b[0] - bend)} ${r(b[1])} ${r(b[0])} ${r(b[1])}m-5 -4l5 4l-5 4` }));
  }
  layer.setAttribute('width', table.scrollWidth);
  layer.setAttribute('height', table.scrollHeight);
}
addEventListener('resize', arrows);

// Details of one session.
let previousFocus = null;
function close() {
  detail.hidden = true;
  selected = null;
  rows.forEach(row => row.classList.remove('sel'));
  arrows();
  if (previousFocus && document.contains(previousFocus)) previousFocus.focus();
  previousFocus = null;
}
const name = at => make('a', { href: '#s' + at }, data.sessions[at].name);
const listed = (ats, between = ', ') => ats.flatMap((at, i) => i ? [between, name(at)] : [name(at)]);
function open(at) {
  const session = data.sessions[at], facts = make('dl'), fact = (what, ...inner) => facts.append(make('dt', {}, what), make('dd', {}, ...inner));
  fact('outcome', `${session.mark} ${session.outcome}` + (session.reason ? `: ${session.reason}` : ''));
  if (session.wall != null) fact('time', time(session.wall) + (session.usual != null ? `, usually ${time(session.usual)}` : ''));
  if (session.waited) fact('waited', time(session.waited));
  if (session.install != null) fact('install', time(session.install));
  if (session.cache) fact('cache', `${session.cache[0]} of ${session.cache[1]} packages restored`);
  if (session.busy_cpus != null) fact('CPUs busy', session.busy_cpus.toFixed(1) + (session.cpus > 1 ? ` of ${session.cpus}` : ''));
  if (session.memory) fact('peak memory', session.memory);
  const notified = (session.needs || []).filter(([, why]) => why === 'notify');
  const needs = (session.needs || []).filter(([, why]) => why !== 'notify'), after = drawn.filter(edge => edge.from === at).map(edge => edge.to);
  if (needs.length) fact('needs', ...needs.flatMap(([from, why], i) => [i ? ', ' : '', name(from), ` (${why})`]));
  if (notified.length) fact('notified', `after the ${notified.length} session${notified.length === 1 ? '' : 's'} before it`);
  if (after.length) fact('needed by', ...listed(after));
  if (session.locks) fact('locks', session.locks.join(', '));
  if (session.exclusive) fact("exclusive", 'runs alone');
  if (session.wait_reason) fact("waited for", session.wait_reason);
  for (const [number, outcome, from, to, slots, why] of session.attempts || [])
    if (session.attempts.length > 1) fact(`attempt ${number}`, `${outcome}, ${time(from)} to ${time(to)}, slot ${slots.join(', ')}` + (why ? `: ${why}` : ''));
  const closeButton = make('button', { type: 'button', class: 'x', 'aria-label': 'Close' }, '✕');
  closeButton.addEventListener('click', close);
  detail.replaceChildren(closeButton, make('h3', {}, session.name), ...(session.description ? [make('p', {}, session.description)] : []), facts);
  const chart = drawSparkline(session, 420, 70);
  if (chart) detail.append(make('p', { class: 'above' }, `The last ${session.history_centis.length} runs, oldest first; ✕ failed`), chart);
  selected = at;
  rows.forEach((row, other) => row.classList.toggle('sel', other === at));
  detail.hidden = false;
  arrows();
}
function openFromHash() {
  const at = indexById.get(location.hash.slice(1));
  if (at === undefined) return;
  if (rows[at].hidden) clear();
  rows[at].scrollIntoView({ block: 'nearest' });
  open(at);
}
addEventListener('hashchange', openFromHash);
document.addEventListener('click', event => {
  const link = event.target.closest('a[href^="#s"]'), row = event.target.closest('#rows>tr');
  const at = link ? indexById.get(link.hash.slice(1)) : row ? indexById.get(row.id) : undefined;
  if (at === undefined || event.ctrlKey || event.metaKey || String(getSelection())) return;
  event.preventDefault();
  if (!detail.contains(event.target)) previousFocus = link || row.querySelector('a');
  history.replaceState(null, '', '#s' + at);
  openFromHash();
  if (event.detail === 0) detail.focus();
});
document.addEventListener('keydown', event => {
  const typing = event.target.matches('input,textarea');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); query.focus(); }
  if (event.key === 'Escape') { if (!detail.hidden) close(); else clear(); }
  const link = event.target.closest('#rows a');
  if (link && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
    event.preventDefault();
    let row = link.closest('tr');
    do row = event.key === 'ArrowDown' ? row.nextElementSibling : row.previousElementSibling; while (row && row.hidden);
    if (row) row.querySelector('a').focus();
  }
});
// Show the end of each log.
document.querySelectorAll('pre').forEach(log => { log.scrollTop = log.scrollHeight; });
filter();
openFromHash();
document.documentElement.dataset.ready = 'yes';
})();
