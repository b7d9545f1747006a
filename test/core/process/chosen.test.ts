import { describe, expect, it } from 'vitest';
import { chosenOf } from '../../../src/core/process/chosen.js';
import { BusinessWorker, Gateway, Register, Worker } from '../../../src/mod.js';

const made = [
  new Register('text://127.0.0.1:1236'),
  new Gateway('text://127.0.0.1:8282', { name: 'TextGateway' }),
  new Gateway('websocket://127.0.0.1:8283', { name: 'WebSocketGateway' }),
  new BusinessWorker({ name: 'Gateway', events: {} }),
  new (class Page extends Worker {})(null, { name: 'ChatPage' }),
];

describe('what a host has of a cluster', () => {
  it.each([
    [null, ['Register', 'TextGateway', 'WebSocketGateway', 'Gateway', 'ChatPage']],
    [['register'], ['Register']],
    [['businessworker'], ['Gateway']],
    [
      ['BusinessWorker', 'Register'],
      ['Register', 'Gateway'],
    ],
    [['TextGateway'], ['TextGateway']],
    // A name and a kind: both are meant.
    [['Gateway'], ['TextGateway', 'WebSocketGateway', 'Gateway']],
    [['gateway'], ['TextGateway', 'WebSocketGateway']],
    [['worker'], ['ChatPage']],
    [['ChatPage', 'ChatPage', 'Worker'], ['ChatPage']],
    [[], []],
  ])('%j is %j', (only, names) => {
    expect(chosenOf(made, only).map(({ name }) => name)).toEqual(names);
  });

  it.each([
    ['gatewy', "there is no worker 'gatewy' to start; did you mean 'gateway'?"],
    ['textgateway', "there is no worker 'textgateway' to start; did you mean 'TextGateway'?"],
    [
      'x',
      "there is no worker 'x' to start; there are register, Register, gateway, TextGateway, WebSocketGateway, businessworker, Gateway, worker, ChatPage",
    ],
  ])('%s is refused', (wanted, message) => {
    expect(() => chosenOf(made, ['register', wanted])).toThrow(
      expect.objectContaining({ code: 'GW_START_ONLY_UNKNOWN', message, fields: { only: wanted } }),
    );
  });
});
