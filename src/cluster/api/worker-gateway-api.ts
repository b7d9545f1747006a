import { type CurrentClient, currentDispatch } from './dispatch.js';
import { ApiError } from './errors.js';
import { GatewayApi } from './gateway-api.js';
import type { Message, MessageOptions } from './outbox.js';

/**
 * The gateway API of a BusinessWorker: GatewayApi, and the functions that mean the client whose handler is being called.
 *
 * Those work while the handler runs up to its first `await`. Elsewhere, where the original would act on nobody or on the
 * client of another event, they throw ApiError `GW_API_NO_CURRENT_CLIENT`; the handler's `client` has the same functions and
 * is good everywhere.
 */
export class WorkerGatewayApi extends GatewayApi {
  sendToCurrentClient(message: Message, options: MessageOptions = {}): boolean {
    return this.#current('sendToCurrentClient', 'client.send').send(message, options);
  }

  /** Ends the connection once all that was sent to it is written; `message` is the last of it. */
  closeCurrentClient(message?: Message): boolean {
    return this.#current('closeCurrentClient', 'client.close').close(message);
  }

  /** Ends the connection at once; what waits for the client is lost. The original calls it `destoryCurrentClient`. */
  destroyCurrentClient(): boolean {
    return this.#current('destroyCurrentClient', 'client.destroy').destroy();
  }

  #current(name: string, instead: string): CurrentClient {
    const dispatch = currentDispatch();
    // The worker of another cluster, or another one in this process, has its own client.
    if (dispatch !== null && dispatch.api === this && dispatch.client !== null) return dispatch.client;
    throw new ApiError(
      'GW_API_NO_CURRENT_CLIENT',
      `${name} was called outside a client's handler or behind an await; call ${instead} of the handler's 'client' argument`,
      { name },
    );
  }
}
