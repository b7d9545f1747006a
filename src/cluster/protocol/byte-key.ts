import { Buffer } from 'node:buffer';

/** The key under which a text finds a uid or a group: its UTF-8 bytes, one character each. */
export function byteKey(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return Buffer.from(text, 'utf8').toString('latin1');
  }
  return text;
}
