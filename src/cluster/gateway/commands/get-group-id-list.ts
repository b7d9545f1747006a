import { serialize } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { listedName } from '../names.js';

/** GET_GROUP_ID_LIST: the names of all groups; those that look like integers are integers, as PHP keys are. */
export const getGroupIdList: CommandHandler = (gateway, _packet, from) => {
  from.reply(serialize([...gateway.clients.groupNames].map(listedName)));
};
