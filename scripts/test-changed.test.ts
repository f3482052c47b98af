import { describe, expect, it } from 'vitest';
import { reachOf } from './test-changed.mjs';

describe('what a change can touch', () => {
  it.each([
    [['docs/init-file.md', 'README.md'], { lab: false, e2e: [] }],
    [['src-main/engine/prefix/plan.test.ts'], { lab: true, e2e: [] }],
    [['src-main/engine/prefix/plan.ts'], { lab: true, e2e: ['all'] }],
    [['src-shared/contract.ts', 'src-renderer/app.tsx'], { lab: true, e2e: ['all'] }],
    [['e2e/cli.spec.ts'], { lab: false, e2e: ['e2e/cli.spec.ts'] }],
  ])('%j: %j', (files, reach) => expect(reachOf(files)).toEqual(reach));

  it('of the page are the specs with a window, of the command line the others', () => {
    const page = reachOf(['src-renderer/app.tsx']).e2e;
    const cli = reachOf(['src-main/cli/main.ts']).e2e;
    expect(page).toContain('e2e/window.spec.ts');
    expect(page).not.toContain('e2e/verbs.spec.ts');
    expect(cli).toContain('e2e/verbs.spec.ts');
    expect(cli).not.toContain('e2e/window.spec.ts');
  });
});
