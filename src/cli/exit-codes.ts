/** The codes a command ends with; `docs/reference/cli.md` describes them. */
export type ExitCode = typeof EXIT_OK | typeof EXIT_FAILED | typeof EXIT_USAGE | typeof EXIT_NOT_RUNNING;

/** It was done. For `status`: every place has a process that is ready. */
export const EXIT_OK = 0;
/** It was not done; one line says why. For `status`: a place has none that is ready. */
export const EXIT_FAILED = 1;
/** The command line asks for something that is not there. */
export const EXIT_USAGE = 2;
/** The service does not run; the number is that of init scripts (LSB). */
export const EXIT_NOT_RUNNING = 3;
