/** The service did not start. */
export const EXIT_FAILED = 1;
/** The command line asks for something that is not there. */
export const EXIT_USAGE = 2;
