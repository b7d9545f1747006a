/** Waits for the promise, which does not reject, but no longer than so many milliseconds, nor once the signal is aborted. */
export async function settledWithin(
  promise: Promise<unknown>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<void> {
  if (signal?.aborted) return;
  let timer: NodeJS.Timeout | undefined;
  let enough: () => void = () => {};
  const late = new Promise<void>((resolve) => {
    enough = resolve;
    timer = setTimeout(resolve, Math.max(0, milliseconds));
  });
  signal?.addEventListener('abort', enough, { once: true });
  await Promise.race([promise, late]);
  clearTimeout(timer);
  signal?.removeEventListener('abort', enough);
}
