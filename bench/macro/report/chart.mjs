// Figures as bars: a panel for each, every panel on a scale of its own.
import { shown } from './figures.mjs';

const NAMES = { ours: 'gatewayworker', ws: 'ws', socketio: 'Socket.IO', php: 'PHP GatewayWorker' };
const OURS = '#1f6feb';
const OTHERS = '#9aa4b2';
const WIDTH = 760;
const LEFT = 150;
const RIGHT = 90;
const LINE = 22;
const HEAD = 34;

/** An SVG of the figures; each has a title, a unit and the values by peer. */
export function chartOf(figures) {
  const parts = [];
  let y = 12;
  for (const { title, unit, values } of figures) {
    const known = Object.entries(values).filter(([, value]) => value !== null);
    const most = Math.max(...known.map(([, value]) => value));
    parts.push(text(12, y + 16, title, 'font-weight="600"'));
    y += HEAD;
    for (const [peer, value] of known) {
      const width = Math.max(1, ((WIDTH - LEFT - RIGHT) * value) / most);
      parts.push(
        text(LEFT - 8, y + 11, NAMES[peer], 'text-anchor="end"'),
        `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="14" rx="2" fill="${peer === 'ours' ? OURS : OTHERS}"/>`,
        text(LEFT + width + 6, y + 11, `${shown(value)} ${unit}`),
      );
      y += LINE;
    }
    y += 8;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img"`,
    '  font-family="system-ui, sans-serif" font-size="12" fill="#1c2330">',
    '<title>CPU time and memory beside the peers; shorter is better</title>',
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function text(x, y, content, more = '') {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}"${more === '' ? '' : ` ${more}`}>${safe}</text>`;
}
