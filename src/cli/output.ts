import process from 'node:process';

/**
 * Writes to standard output, and resolves when it has been taken: a process that exits before may cut it off. A reader
 * that has gone, as `head` does, is no error: false says so.
 */
export function print(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    const failed = () => resolve(false);
    process.stdout.once('error', failed);
    process.stdout.write(text, (error) => {
      // A failure is told here first; the event that follows still needs its listener.
      if (!error) process.stdout.off('error', failed);
      resolve(!error);
    });
  });
}
