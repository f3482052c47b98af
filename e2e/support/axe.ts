import { expect, type Page } from '@playwright/test';
import axe from 'axe-core';

/** The rules whose findings depend on the colour scheme. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block'];

/** axe's findings on the current page, by all of its rules or by those given, one line each: rule, impact and element. */
async function violations(page: Page, rules?: readonly string[]): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async (only) => {
    // Contrast cannot be measured during a fade; interrupted animations count as finished too.
    await Promise.allSettled(document.getAnimations().map(async (animation) => await animation.finished));
    const { violations: found } = await (window as unknown as { axe: typeof axe }).axe.run(
      document,
      only === undefined ? {} : { runOnly: { type: 'rule', values: [...only] } },
    );
    return found.flatMap(({ id, impact, nodes }) =>
      nodes.map((node) => `${id} (${impact}): ${node.target.join(' ')} ${node.failureSummary ?? ''}`),
    );
  }, rules);
}

/** Fails when axe finds anything wrong on the current page. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  expect(await violations(page), what).toEqual([]);
}

/** Fails when axe finds anything wrong with the colours of the current page: for a page that is looked at as a whole in another scheme. */
export async function expectReadable(page: Page, what: string): Promise<void> {
  expect(await violations(page, OF_COLOURS), what).toEqual([]);
}
