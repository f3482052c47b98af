import { describe, expect, it } from 'vitest';
import { reachOf } from './test-changed.mjs';

describe('what a change can affect', () => {
  it.each([
    [['docs/init-file.md', 'README.md'], { lab: 'none', e2e: [] }],
    [['src-main/engine/plan/plan.test.ts'], { lab: 'changed', e2e: [] }],
    [['src-main/engine/plan/plan.ts'], { lab: 'changed', e2e: ['all'] }],
    [['src-shared/contract.ts', 'src-renderer/app.tsx'], { lab: 'changed', e2e: ['all'] }],
    [['resources/guest/build.sh'], { lab: 'all', e2e: ['all'] }],
    [['package-lock.json'], { lab: 'all', e2e: ['all'] }],
    [['scripts/testing/test-counts.test.ts'], { lab: 'none', e2e: [] }],
    [['e2e/cli.spec.ts'], { lab: 'none', e2e: ['e2e/cli.spec.ts'] }],
  ])('%j: %j', (files, reach) => expect(reachOf(files)).toEqual(reach));

  it('of the page are the specs with a window, of the command line those that run it', () => {
    const page = reachOf(['src-renderer/app.tsx']).e2e;
    const cli = reachOf(['src-main/cli/main.ts']).e2e;
    expect(page).toContain('e2e/window.spec.ts');
    expect(page).toContain('e2e/pages.spec.ts');
    expect(page).not.toContain('e2e/verbs.spec.ts');
    expect(cli).toContain('e2e/verbs.spec.ts');
    expect(cli).toContain('e2e/vm-states.spec.ts');
    expect(cli).not.toContain('e2e/window.spec.ts');
    expect(cli).not.toContain('e2e/pages.spec.ts');
  });
});
