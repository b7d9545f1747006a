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
