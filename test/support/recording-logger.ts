import type { LogFields, Logger, LogLevel } from '../../src/util/mod.js';

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps what it is told. */
export class RecordingLogger implements Logger {
  readonly entries: LogEntry[] = [];

  /** Messages that were worth a warning. */
  get warnings(): string[] {
    return this.of('warn').map(({ message }) => message);
  }

  of(level: LogLevel): LogEntry[] {
    return this.entries.filter((entry) => entry.level === level);
  }

  count(part: string): number {
    return this.entries.filter(({ message }) => message.includes(part)).length;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'error', message, fields });
  }
}
