import type { ServiceOptions } from '../service-options.js';
import { readServiceOptions } from '../service-options.js';
import { ControlClient } from './client.js';
import { ControlError } from './errors.js';
import { controlPaths } from './paths.js';

/**
 * Connects to the service that runs under the same options.
 *
 * @throws ControlError `GW_CONTROL_NOT_RUNNING`, `GW_CONTROL_NO_ANSWER`, `GW_CONTROL_FORBIDDEN`, `GW_CONTROL_UNREACHABLE`
 * @throws OptionsError
 */
export async function openControl(given: Partial<ServiceOptions> = {}): Promise<ControlClient> {
  const { pidFile, only } = readServiceOptions(given);
  const paths = controlPaths(pidFile, only);
  if (paths === undefined) throw new ControlError('GW_CONTROL_NOT_RUNNING', 'not running');
  return ControlClient.open(paths);
}
