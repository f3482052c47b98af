import { expect, type Locator, type Page } from '@playwright/test';

/** The part of xterm's terminal that tests read; the page puts the terminal on its container element. */
interface ReadableTerminal {
  readonly buffer: {
    readonly active: {
      readonly length: number;
      getLine(index: number): { translateToString(trimRight: boolean): string; readonly isWrapped: boolean } | undefined;
    };
  };
}

/** All text of a terminal including scrollback, wrapped lines joined, without trailing blank lines. */
export async function terminalText(container: Locator): Promise<string> {
  return await container.evaluate((element) => {
    const { terminal } = element as unknown as { readonly terminal?: ReadableTerminal };
    if (terminal === undefined) throw new Error('The element carries no terminal.');
    const { active } = terminal.buffer;
    let text = '';
    for (let index = 0; index < active.length; index++) {
      const line = active.getLine(index);
      if (line === undefined) continue;
      if (index > 0 && !line.isWrapped) text += '\n';
      text += line.translateToString(true);
    }
    return text.trimEnd();
  });
}

const KINDS = { Terminal: 'ssh', 'Serial console': 'serial' } as const;

/**
 * Opens a terminal to a VM of the environment in front with its row's button, and waits until it is connected. Every call opens
 * another one.
 */
export async function openTerminal(page: Page, vm: string, button: keyof typeof KINDS): Promise<Locator> {
  const selector = `[data-testid="terminal"][data-vm="${vm}"][data-kind="${KINDS[button]}"]`;
  const before = await page.locator(selector).count();
  await page
    .getByRole('table', { name: 'VMs' })
    .getByRole('button', { name: `${button} of ${vm}` })
    .click();
  await expect(page.locator(selector)).toHaveCount(before + 1);
  const terminal = page.locator(`${selector}:visible`);
  await expect(terminal).toHaveAttribute('data-state', 'connected', { timeout: 60_000 });
  return terminal;
}

/** Types a command line into a terminal. */
export async function typeLine(container: Locator, line: string): Promise<void> {
  await container.click();
  await container.page().keyboard.type(line);
  await container.page().keyboard.press('Enter');
}

/** Waits until the terminal shows text that matches. */
export async function expectTerminal(container: Locator, pattern: RegExp, timeout = 60_000): Promise<void> {
  await expect.poll(async () => await terminalText(container), { timeout }).toMatch(pattern);
}

let serial = 0;

/**
 * Runs a command in an open terminal's shell and returns its output. The shell assembles the markers, so that the echo of the typed line
 * does not match them.
 */
export async function runInTerminal(container: Locator, command: string, timeout = 60_000): Promise<string> {
  const mark = `m${++serial}x`;
  await typeLine(container, `echo ${mark}''a; ${command}; echo ${mark}''z`);
  const pattern = new RegExp(`${mark}a\\n([\\s\\S]*?)\\n?${mark}z`);
  await expectTerminal(container, pattern, timeout);
  return (pattern.exec(await terminalText(container))?.[1] ?? '').trim();
}
