import { expect, type Page } from '@playwright/test';
import axe from 'axe-core';

/** axe's findings on the current page, one line each: rule, impact and element. */
async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    // Contrast cannot be measured during a fade; interrupted animations count as finished too.
    await Promise.allSettled(document.getAnimations().map(async (animation) => await animation.finished));
    const { violations: found } = await (window as unknown as { axe: typeof axe }).axe.run(document);
    return found.flatMap(({ id, impact, nodes }) =>
      nodes.map((node) => `${id} (${impact}): ${node.target.join(' ')} ${node.failureSummary ?? ''}`),
    );
  });
}

/** Fails when axe finds anything wrong on the current page. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  expect(await violations(page), what).toEqual([]);
}
