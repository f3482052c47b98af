import { expect, type Page } from '@playwright/test';
import axe from 'axe-core';

/** What axe finds wrong on the page as it is now, one line each: rule, impact and the element. */
async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    // A fade that is under way has no contrast yet; one that is interrupted is over as well.
    await Promise.allSettled(document.getAnimations().map(async (animation) => await animation.finished));
    const { violations: found } = await (window as unknown as { axe: typeof axe }).axe.run(document);
    return found.flatMap(({ id, impact, nodes }) =>
      nodes.map((node) => `${id} (${impact}): ${node.target.join(' ')} ${node.failureSummary ?? ''}`),
    );
  });
}

/** Fails when axe finds anything wrong on the page as it is now. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  expect(await violations(page), what).toEqual([]);
}
