export function delayOf(attempt: number, random: number): number;
