interface Named {
  readonly id: string;
  readonly name: string | null;
}

export const MAX_NAME: number;
export function cleanName(text: string): string;
export function labelOf(client: Named): string;
export function shortId(id: string): string;
export function initialsOf(name: string | null): string;
export function hueOf(client: Named): number;
