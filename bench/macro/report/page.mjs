// The section of docs/performance.md that says what was measured.
import { BUSY_LOAD } from '../measure/machine.mjs';
import { barOf, compared, shown } from './figures.mjs';

const HEADS = { ours: 'gatewayworker', ws: 'ws', socketio: 'Socket.IO', php: 'PHP GatewayWorker' };

/** Markdown of a result, as run.mjs writes it. */
export function resultsOf(result) {
  const { cpu, cores, memory, kernel, node, versions, date, seconds, repeat, pinned, peers, loadBefore } = result;
  const apart = pinned === null ? 'nothing pinned' : 'servers on one core, the load on another';
  const times = repeat === 1 ? 'once' : `${repeat} times, the median`;
  const phpNote = result.rows.flatMap((row) => row.notes.php ?? []).find((note) => note.startsWith('PHP '));
  return [
    `${date.slice(0, 10)}: ${cpu}, ${cores} cores, ${memory}, ${kernel}, Node.js ${node}; ws ${versions.ws}, Socket.IO ${versions.socketio}` +
      `${phpNote === undefined ? '' : `, ${phpNote}`}. Each measured for ${seconds} s, ${times}; ${apart}. In parentheses: how many times ours.`,
    '',
    ...(loadBefore > BUSY_LOAD
      ? [
          `**Others used this machine meanwhile** (load average ${loadBefore.toFixed(1)} before it began): not a run to judge by.`,
          '',
        ]
      : []),
    '![The main figures as bars](images/performance.svg)',
    '',
    ...table(result.rows, peers),
    ...notesOf(result.rows),
    ...result.rows.filter((row) => row.profile !== undefined).flatMap(profileOf),
  ].join('\n');
}

function table(rows, peers) {
  const head = ['row', 'figure', 'bar', ...peers.map((peer) => HEADS[peer]), ''];
  const lines = rows.flatMap((row) =>
    row.figures.map((figure, index) => [
      index === 0 ? `${row.title} (\`${row.name}\`)` : '',
      figure.unit === '' ? figure.name : `${figure.name}, ${figure.unit}`,
      barOf(figure),
      ...peers.map((peer) =>
        peer === 'ours' ? shown(figure.values.ours) : compared(figure.values[peer], figure.values.ours),
      ),
      figure.verdict === 'not met' ? '**not met**' : figure.verdict,
    ]),
  );
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
}

function notesOf(rows) {
  const notes = rows.flatMap((row) =>
    Object.entries(row.notes).flatMap(([peer, list]) =>
      list.filter((note) => !note.startsWith('PHP ')).map((note) => `- \`${row.name}\`, ${HEADS[peer]}: ${note}`),
    ),
  );
  return notes.length === 0 ? [] : ['', 'Of single rows:', '', ...notes];
}

/** Processes that took less of the time are not shown, nor are functions. */
const LEAST_SHARE = 0.01;
const FUNCTIONS = 8;

function profileOf({ name, title, profile: { cpu, processes } }) {
  const all = processes.reduce((sum, { samples }) => sum + samples, 0);
  const time = (samples = 0) => (samples === 0 ? '' : shown((samples / all) * cpu));
  const busy = processes.filter(({ samples }) => samples >= all * LEAST_SHARE);
  const total = (part) => busy.reduce((sum, { parts }) => sum + (parts[part] ?? 0), 0);
  const parts = [...new Set(busy.flatMap((process) => Object.keys(process.parts)))].sort((a, b) => total(b) - total(a));
  const lines = [
    [title, ...busy.map((process) => process.title.replace(/:\d+$/, ''))],
    ['---', ...busy.map(() => '---:')],
    ...parts.map((part) => [part, ...busy.map((process) => time(process.parts[part]))]),
    ['together', ...busy.map(({ samples }) => time(samples))],
  ];
  const functionsOf = (process) =>
    Object.entries(process.functions)
      .sort(([, a], [, b]) => b - a)
      .slice(0, FUNCTIONS)
      .map(([called, samples]) => `\`${called}\` ${time(samples)}`);
  return [
    '',
    `Where the time of \`${name}\` goes, µs of CPU:`,
    '',
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...busy
      .filter((process) => Object.keys(process.functions).length > 0)
      .map(
        (process) => `- JavaScript of the ${process.title.replace(/:\d+$/, '')}: ${functionsOf(process).join(', ')}.`,
      ),
  ];
}
