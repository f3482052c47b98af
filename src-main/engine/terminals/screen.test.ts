import { describe, expect, it } from 'vitest';
import { isPlain, openScreenOf } from './screen.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the screen of a session', () => {
  it('has the end of a flood, and what was set before it', async () => {
    const screen = await openScreenOf(80, 24, () => undefined);
    screen.write(bytes('first\r\n'));
    await screen.serialize();
    // Turns bracketed paste on; must not be skipped, whatever follows.
    screen.write(bytes('\x1b[?2004'));
    screen.write(bytes('h'));
    const line = `\x1b[32m${'x'.repeat(70)}\x1b[0m\r\n`;
    const piece = bytes(line.repeat(400));
    for (let written = 0; written < 10 * 1024 * 1024; written += piece.length) screen.write(piece);
    screen.write(bytes('the end'));
    const text = await screen.serialize();
    expect(text).toContain('the end');
    expect(text).toContain('\x1b[?2004h');
    expect(text.split('\r\n').length).toBe(10_000 + 24);
    screen.dispose();
  });
});

describe('plain output', () => {
  it.each([
    ['text\r\n\ttabs', true],
    ['\x1b[1;31mred\x1b[0m €', true],
    ['\x1b[2J', false],
    ['\x1b[?1049h', false],
    ['\x1b]0;title\x07', false],
    ['cut \x1b[3', false],
    ['cut \x1b', false],
    ['\x0e', false],
  ])('%j: %s', (text, plain) => {
    expect(isPlain(bytes(text))).toBe(plain);
  });
});
