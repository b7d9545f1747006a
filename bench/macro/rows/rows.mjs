// All rows. Each has a name, a title, the peers it can be measured with, its figures and how to measure them.
//
// A figure has a unit and what it must reach: `max` or `min` for ours, `leads` where ours must be ahead of every peer, `more`
// where more is better.
import { BROADCAST_ROWS } from './broadcast.mjs';
import { CROWD_ROWS } from './crowds.mjs';
import { ECHO_ROWS } from './echo.mjs';
import { GROUP_ROWS } from './groups.mjs';
import { MEMORY_ROWS } from './memory.mjs';

export const ROWS = [...ECHO_ROWS, ...BROADCAST_ROWS, ...MEMORY_ROWS, ...GROUP_ROWS, ...CROWD_ROWS];
