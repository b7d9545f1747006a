/** A function and its arguments; `@A` stands for the id of client A. */
export type Call = readonly [name: string, ...args: unknown[]];

/** What of an answer is compared: the original's forms differ from ours on purpose. */
export type Shape = 'sent' | 'boolean' | 'number' | 'ids' | 'counts' | 'groups' | 'value';

export interface Step {
  /** As the original has it, in a worker; null: there is none. */
  readonly lib: Call | null;
  /** As GatewayClient has it, where that is not the same; null: there is none. */
  readonly outside?: Call | null;
  /** As we have it; null: there is none on purpose. */
  readonly ours: Call | null;
  readonly shape: Shape;
  /** On purpose, ours throws here what the original prints and answers with false, or swallows. */
  readonly oursThrows?: true;
}

/** As text: not every gateway can tell bytes from it. */
const BYTES = { $hex: Buffer.from('bytes, grüße').toString('hex') };
const RAW_LINE = { $hex: '7261770a' };
/** A WebSocket text frame with the text `raw`. */
const RAW_FRAME = { $hex: '8103726177' };
const LONG = '9007199254740993';
const ODD = 'grüße/"x"';

/** What is called, in this order; A and B are text clients, C and D WebSocket clients, P is the one whose message calls. */
export const STEPS: readonly Step[] = [
  // Sends.
  same('sendToAll', ['to all'], 'sent'),
  same('sendToAll', ['grüße, 你好 😀 / "quoted"'], 'sent'),
  same('sendToAll', [12], 'sent'),
  same('sendToAll', [1.5], 'sent'),
  same('sendToAll', [''], 'sent'),
  same('sendToAll', [BYTES], 'sent'),
  step(['sendToAll', 'to two', ['@A', '@D']], ['sendToAll', 'to two', { clientIds: ['@A', '@D'] }], 'sent'),
  step(['sendToAll', 'to nobody', []], ['sendToAll', 'to nobody', { clientIds: [] }], 'sent'),
  step(['sendToAll', 'but one', null, '@A'], ['sendToAll', 'but one', { exclude: '@A' }], 'sent'),
  step(['sendToAll', 'but two', null, ['@A', '@C']], ['sendToAll', 'but two', { exclude: ['@A', '@C'] }], 'sent'),
  step(
    ['sendToAll', 'some of some', ['@A', '@B', '@C'], ['@B']],
    ['sendToAll', 'some of some', { clientIds: ['@A', '@B', '@C'], exclude: ['@B'] }],
    'sent',
  ),
  step(
    ['sendToAll', RAW_LINE, ['@A', '@B'], null, true],
    ['sendToAll', RAW_LINE, { clientIds: ['@A', '@B'], raw: true }],
    'sent',
  ),
  step(
    ['sendToAll', { a: [1, 'ü/'], b: null }, ['@C', '@D']],
    ['sendToAll', { a: [1, 'ü/'], b: null }, { clientIds: ['@C', '@D'] }],
    'sent',
  ),
  same('sendToClient', ['@A', 'to A'], 'sent'),
  same('sendToClient', ['@P', 'to the current client'], 'sent'),
  same('sendToClient', ['@D', [1, 2, { x: 'ü' }]], 'sent'),
  same('sendToClient', ['@none', 'to nobody'], 'sent'),
  { ...same('sendToClient', ['@nowhere', 'to nobody'], 'sent'), outside: null },
  { ...same('sendToClient', ['xyz', 'to nobody'], 'sent'), oursThrows: true },
  step(['sendToClient', '@A', RAW_LINE, true], ['sendToClient', '@A', RAW_LINE, { raw: true }], 'sent', null),
  step(['sendToClient', '@C', RAW_FRAME, true], ['sendToClient', '@C', RAW_FRAME, { raw: true }], 'sent', null),
  step(['sendToCurrentClient', 'current'], ['sendToCurrentClient', 'current'], 'sent', null),
  step(['sendToCurrentClient', 'current'], ['client.send', 'current'], 'sent', null),
  // Uids.
  same('bindUid', ['@A', 'u1'], 'sent'),
  same('bindUid', ['@C', 'u1'], 'sent'),
  step(['bindUid', '@B', 7], ['bindUid', '@B', 7], 'sent'),
  same('bindUid', ['@D', LONG], 'sent'),
  step(['bindUid', '@P', ODD], ['client.bindUid', ODD], 'sent'),
  { ...same('bindUid', ['@A', ''], 'sent'), oursThrows: true },
  same('sendToUid', ['u1', 'to u1'], 'sent'),
  same('sendToUid', [['u1', 7], 'to u1 and 7'], 'sent'),
  same('sendToUid', [LONG, 'to a long one'], 'sent'),
  same('sendToUid', [ODD, 'to an odd one'], 'sent'),
  same('sendToUid', ['nobody', 'to nobody'], 'sent'),
  same('sendToUid', [[], 'to nobody'], 'sent'),
  step(['sendToUid', 7, RAW_LINE, true], ['sendToUid', 7, RAW_LINE, { raw: true }], 'sent', null),
  same('isUidOnline', ['u1'], 'boolean'),
  same('isUidOnline', [7], 'boolean'),
  same('isUidOnline', [LONG], 'boolean'),
  same('isUidOnline', ['nobody'], 'boolean'),
  same('getClientIdByUid', ['u1'], 'ids'),
  same('getClientIdByUid', [7], 'ids'),
  same('getClientIdByUid', [ODD], 'ids'),
  same('getClientIdByUid', ['nobody'], 'ids'),
  same('getUidByClientId', ['@A'], 'value'),
  same('getUidByClientId', ['@B'], 'value'),
  same('getUidByClientId', ['@D'], 'value'),
  same('getUidByClientId', ['@none'], 'value'),
  same('getAllUidList', [], 'ids'),
  same('getAllUidCount', [], 'number'),
  batch('isUidsOnline', ['u1', 7, LONG, ODD, 'nobody'], 'counts'),
  batch('isUidsOnline', [], 'counts'),
  batch('batchGetClientIdByUid', ['u1', 7, LONG, ODD, 'nobody'], 'groups'),
  batch('batchGetClientIdByUid', [], 'groups'),
  // Groups. Everybody is in one when they are asked for: the original forgets those behind a client that is in none.
  same('joinGroup', ['@A', 'g'], 'sent'),
  same('joinGroup', ['@B', 'g'], 'sent'),
  same('joinGroup', ['@C', 'g'], 'sent'),
  same('joinGroup', ['@B', 5], 'sent'),
  same('joinGroup', ['@D', 5], 'sent'),
  step(['joinGroup', '@P', ODD], ['client.joinGroup', ODD], 'sent'),
  same('joinGroup', ['@S', 's'], 'sent'),
  same('bindUid', ['@S', 'spectator'], 'sent'),
  { ...same('joinGroup', ['@A', ''], 'sent'), oursThrows: true },
  same('sendToGroup', ['g', 'to g'], 'sent'),
  same('sendToGroup', [5, 'to 5'], 'sent'),
  same('sendToGroup', [['g', 5], 'to both'], 'sent'),
  same('sendToGroup', [ODD, 'to an odd one'], 'sent'),
  same('sendToGroup', ['nothing', 'to nobody'], 'sent'),
  step(['sendToGroup', 'g', 'but A', ['@A']], ['sendToGroup', 'g', 'but A', { exclude: ['@A'] }], 'sent'),
  step(['sendToGroup', 'g', 'but C', '@C'], ['sendToGroup', 'g', 'but C', { exclude: '@C' }], 'sent'),
  step(
    ['sendToGroup', ['g'], RAW_LINE, ['@C'], true],
    ['sendToGroup', ['g'], RAW_LINE, { exclude: ['@C'], raw: true }],
    'sent',
  ),
  { ...same('sendToGroup', ['', 'to nobody'], 'sent'), oursThrows: true },
  same('getClientIdCountByGroup', ['g'], 'number'),
  same('getClientIdCountByGroup', [5], 'number'),
  same('getClientIdCountByGroup', ['nothing'], 'number'),
  { ...same('getClientIdCountByGroup', [''], 'number'), oursThrows: true },
  step(['getClientCountByGroup', 'g'], null, 'number'),
  same('getAllClientIdCount', [], 'number'),
  step(['getAllClientCount'], null, 'number'),
  same('getAllClientIdList', [], 'ids'),
  same('getClientIdListByGroup', ['g'], 'ids'),
  same('getClientIdListByGroup', [['g', 5]], 'ids'),
  same('getUidListByGroup', ['g'], 'ids'),
  same('getUidCountByGroup', ['g'], 'number'),
  same('getAllGroupIdList', [], 'ids'),
  same('getAllGroupUidList', [], 'groups'),
  same('getAllGroupUidCount', [], 'counts'),
  same('getAllGroupClientIdList', [], 'groups'),
  same('getAllGroupClientIdCount', [], 'counts'),
  batch('batchGetClientIdCountByGroup', ['g', 5, ODD, 'nothing'], 'counts'),
  batch('batchGetClientIdCountByGroup', [], 'counts'),
  // Sessions.
  same('setSession', ['@A', { name: 'Ann', n: 1, deep: { list: [1, 2] } }], 'sent'),
  same('updateSession', ['@A', { n: 2, deep: { list: [9] }, more: 'ü' }], 'sent'),
  same('getSession', ['@A'], 'value'),
  same('updateSession', ['@C', { first: true }], 'sent'),
  same('getSession', ['@C'], 'value'),
  same('getSession', ['@B'], 'value'),
  same('getSession', ['@none'], 'value'),
  same('setSession', ['@P', { own: 1 }], 'sent'),
  same('getSession', ['@P'], 'value'),
  step(['setSocketSession', '@D', 'a:1:{s:1:"x";d:3;}'], null, 'sent'),
  same('getSession', ['@D'], 'value'),
  same('getAllClientSessions', [], 'value'),
  same('getAllClientSessions', ['g'], 'value'),
  same('getClientSessionsByGroup', ['g'], 'value'),
  step(['getAllClientInfo'], null, 'value'),
  step(['getClientInfoByGroup', 'g'], null, 'value'),
  // Away again.
  same('isOnline', ['@A'], 'boolean'),
  same('isOnline', ['@none'], 'boolean'),
  { ...same('isOnline', ['xyz'], 'boolean'), oursThrows: true },
  same('leaveGroup', ['@A', 'g'], 'sent'),
  step(['leaveGroup', '@P', ODD], ['client.leaveGroup', ODD], 'sent'),
  same('sendToGroup', [['g', ODD], 'to g without A'], 'sent'),
  same('ungroup', ['g'], 'sent'),
  same('unbindUid', ['@A', 'u1'], 'sent'),
  step(['unbindUid', '@P', ODD], ['client.unbindUid'], 'sent'),
  same('sendToUid', [['u1', ODD], 'to u1 without A'], 'sent'),
  same('closeClient', ['@A', 'the last message'], 'sent'),
  same('closeClient', ['@C', 'the last message'], 'sent'),
  same('closeClient', ['@none'], 'sent'),
  same('closeClient', ['@B'], 'sent'),
  step(['destoryClient', '@D'], ['destroyClient', '@D'], 'sent'),
  same('isOnline', ['@A'], 'boolean'),
  same('getAllClientIdCount', [], 'number'),
  step(['closeCurrentClient', 'bye'], ['client.close', 'bye'], 'sent', null),
];

/** The last of all, for a fresh client. */
export const DESTROY_CURRENT: Step = step(['destoryCurrentClient'], ['destroyCurrentClient'], 'sent', null);

function same(name: string, args: readonly unknown[], shape: Shape): Step {
  return { lib: [name, ...args], ours: [name, ...args], shape };
}

function step(lib: Call, ours: Call | null, shape: Shape, outside?: Call | null): Step {
  return outside === undefined ? { lib, ours, shape } : { lib, ours, shape, outside };
}

/** Only GatewayClient has it in the original. */
function batch(name: string, names: readonly unknown[], shape: Shape): Step {
  return { lib: null, outside: [name, names], ours: [name, names], shape };
}
