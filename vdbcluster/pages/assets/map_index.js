// The row nearest to a place, by a grid: rows sorted by cell, so that a look takes a few cells.

function makeIndex(columns) {
  const [xs, ys] = columns.axes;
  const [[left, right], [bottom, top]] = columns.spans;
  const side = Math.max(1, Math.ceil(Math.sqrt(columns.n / 4)));
  const width = (right - left) / side || 1;
  const height = (top - bottom) / side || 1;
  const clamp = (value) => Math.max(0, Math.min(side - 1, value));
  const across = (x) => clamp(Math.floor((x - left) / width));
  const up = (y) => clamp(Math.floor((y - bottom) / height));
  const starts = new Int32Array(side * side + 1);
  const cells = new Int32Array(columns.n);
  for (let row = 0; row < columns.n; row++) {
    cells[row] = up(ys[row]) * side + across(xs[row]);
    starts[cells[row] + 1]++;
  }
  for (let cell = 0; cell < side * side; cell++) starts[cell + 1] += starts[cell];
  const next = starts.slice();
  const rows = new Int32Array(columns.n);
  for (let row = 0; row < columns.n; row++) rows[next[cells[row]]++] = row;

  /** The nearest row within (rx, ry) of (x, y) that `accepts`; -1 if there is none. */
  return function nearest(x, y, rx, ry, accepts) {
    let best = -1;
    let least = 1;
    for (let cy = up(y - ry); cy <= up(y + ry); cy++) {
      for (let cx = across(x - rx); cx <= across(x + rx); cx++) {
        const cell = cy * side + cx;
        for (let i = starts[cell]; i < starts[cell + 1]; i++) {
          const row = rows[i];
          const away = ((xs[row] - x) / rx) ** 2 + ((ys[row] - y) / ry) ** 2;
          if (away < least && accepts(row)) {
            least = away;
            best = row;
          }
        }
      }
    }
    return best;
  };
}
