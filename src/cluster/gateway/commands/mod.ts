import { Command, type LeavingCommand, type LongCommand, type QueryCommand } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { bindUid } from './bind-uid.js';
import { destroy } from './destroy.js';
import { busy, done, drain } from './drain.js';
import { batchGetClientCountByGroup, getClientCountByGroup } from './get-client-count-by-group.js';
import { batchGetClientIdByUid, getClientIdByUid } from './get-client-id-by-uid.js';
import { getAllClientSessions, getClientSessionsByGroup } from './get-client-sessions.js';
import { getGroupIdList } from './get-group-id-list.js';
import { getSessionByClientId } from './get-session-by-client-id.js';
import { isOnline } from './is-online.js';
import { joinGroup } from './join-group.js';
import { kick } from './kick.js';
import { leaveGroup } from './leave-group.js';
import { select } from './select.js';
import { sendToAll } from './send-to-all.js';
import { sendToGroup } from './send-to-group.js';
import { sendToOne } from './send-to-one.js';
import { sendToUid } from './send-to-uid.js';
import { setSession } from './set-session.js';
import { unbindUid } from './unbind-uid.js';
import { ungroup } from './ungroup.js';
import { updateSession } from './update-session.js';

/** Every command a gateway is sent, with what carries it out. One that is missing does not compile. */
export const COMMANDS: Readonly<Record<LongCommand | QueryCommand | LeavingCommand, CommandHandler>> = {
  [Command.SEND_TO_ONE]: sendToOne,
  [Command.SEND_TO_ALL]: sendToAll,
  [Command.SEND_TO_UID]: sendToUid,
  [Command.SEND_TO_GROUP]: sendToGroup,
  [Command.KICK]: kick,
  [Command.DESTROY]: destroy,
  [Command.SET_SESSION]: setSession,
  [Command.UPDATE_SESSION]: updateSession,
  [Command.BIND_UID]: bindUid,
  [Command.UNBIND_UID]: unbindUid,
  [Command.JOIN_GROUP]: joinGroup,
  [Command.LEAVE_GROUP]: leaveGroup,
  [Command.UNGROUP]: ungroup,
  [Command.IS_ONLINE]: isOnline,
  [Command.GET_SESSION_BY_CLIENT_ID]: getSessionByClientId,
  [Command.GET_ALL_CLIENT_SESSIONS]: getAllClientSessions,
  [Command.GET_CLIENT_SESSIONS_BY_GROUP]: getClientSessionsByGroup,
  [Command.GET_CLIENT_ID_BY_UID]: getClientIdByUid,
  [Command.BATCH_GET_CLIENT_ID_BY_UID]: batchGetClientIdByUid,
  [Command.GET_CLIENT_COUNT_BY_GROUP]: getClientCountByGroup,
  [Command.BATCH_GET_CLIENT_COUNT_BY_GROUP]: batchGetClientCountByGroup,
  [Command.GET_GROUP_ID_LIST]: getGroupIdList,
  [Command.SELECT]: select,
  [Command.DRAIN]: drain,
  [Command.BUSY]: busy,
  [Command.DONE]: done,
};
