import { spawn } from 'node:child_process';
import { StepError } from './steps.mjs';

/**
 * Starts a virtual X server on a free display number, reachable from this machine only.
 * @returns {Promise<{ display: string, close(): void }>}
 */
export async function openVirtualScreen() {
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1400x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const number = await new Promise((resolve, reject) => {
    let text = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`it ended with ${code}`)));
    child.stdio[3]?.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.trim());
    });
  }).catch((error) => {
    throw new StepError(
      `The virtual screen Xvfb did not start: ${error.message}.`,
      'Install the package xvfb, or start from a desktop session.',
    );
  });
  child.unref();
  child.stdio[3]?.destroy();
  return { display: `:${number}`, close: () => void child.kill() };
}
