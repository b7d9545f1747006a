import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';
import { freePortPair, freePorts } from './free-port.js';
import { type Script, startScript } from './processes.js';
import { TextTalker, WebSocketTalker } from './talkers.js';

const START = fileURLToPath(new URL('../../apps/chat/dist/start.js', import.meta.url));

/** The real chat of apps/chat, in processes of its own, on ports that were free a moment ago. */
export class Chat {
  readonly script: Script;
  readonly ports: Readonly<Record<'register' | 'text' | 'webSocket' | 'web' | 'inner', number>>;

  private constructor(script: Script, ports: Chat['ports']) {
    this.script = script;
    this.ports = ports;
  }

  /** Starts it and resolves when it says how to try it and the gateways have their workers. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<Chat> {
    const chat = await Chat.launch(env);
    await chat.script.outputMatching(/Talk in a browser/, 20_000);
    await chat.linked();
    return chat;
  }

  /** Starts it and does not wait. */
  static async launch(env: Readonly<Record<string, string>> = {}): Promise<Chat> {
    if (!existsSync(START)) throw new Error('apps/chat is not built: npm run build');
    const inner = await freePortPair();
    const [register = 0, text = 0, webSocket = 0, web = 0] = await freePorts(4);
    const ports = { register, text, webSocket, web, inner };
    const script = startScript(START, {
      args: ['start'],
      env: {
        CHAT_HOST: '127.0.0.1',
        CHAT_LOG_LEVEL: 'debug',
        CHAT_REGISTER_PORT: String(ports.register),
        CHAT_TEXT_PORT: String(ports.text),
        CHAT_WEBSOCKET_PORT: String(ports.webSocket),
        CHAT_WEB_PORT: String(ports.web),
        CHAT_INNER_PORT: String(inner),
        ...env,
      },
    });
    return new Chat(script, ports);
  }

  /** Waits until each of the two gateways has both workers. */
  async linked(): Promise<void> {
    await this.script.outputMatching(/(?:a worker joined[\s\S]*){4}/, 20_000);
  }

  text(): Promise<TextTalker> {
    return TextTalker.connect(this.ports.text);
  }

  webSocket(path = '/'): Promise<WebSocketTalker> {
    return WebSocketTalker.connect(this.ports.webSocket, path);
  }

  /** The process of a worker, as `ChatWorker:0`; undefined while there is none. */
  pidOf(process: string): number | undefined {
    return this.script.childOf(process);
  }

  /** Kills a worker's process and waits until another one is in its place. */
  async replace(process: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    const old = await eventually(`the process ${process}`, () => this.pidOf(process));
    globalThis.process.kill(old, signal);
    return eventually(`another process for ${process}`, () => {
      const pid = this.pidOf(process);
      return pid !== old ? pid : undefined;
    });
  }
}
