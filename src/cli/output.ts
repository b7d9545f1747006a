import process from 'node:process';

/**
 * Writes to standard output, and resolves when it has been taken: a process that exits before may cut it off. A reader
 * that has gone, as `head` does, is no error.
 */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once('error', resolve);
    process.stdout.write(text, () => {
      process.stdout.off('error', resolve);
      resolve();
    });
  });
}
