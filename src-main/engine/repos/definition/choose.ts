import { nearest } from '../../../../src-shared/nearest.ts';
import type { RepoSection } from './section.ts';
import { distroOfId } from './variables.ts';

/** Whether a section is used for an environment, and why. */
export interface ChosenSection {
  readonly section: RepoSection;
  readonly used: boolean;
  /** The part of its id after the last `-`; null without one. */
  readonly distro: string | null;
  /** One sentence for people. */
  readonly reason: string;
}

/**
 * Lago's rule: a section is used when its id ends in `-DISTRO` with one of these distributions, even one with `enabled=0`; sources of apt
 * that are switched off are not. With `selection`, exactly the sections with these ids are used, whatever they end in.
 */
export function chooseSections(
  sections: readonly RepoSection[],
  distros: readonly string[],
  selection?: readonly string[],
): readonly ChosenSection[] {
  return sections.map((section) => {
    const distro = distroOfId(section.id);
    const { used, reason } = selection === undefined ? byRule(section, distro, distros) : bySelection(section, selection);
    return { section, used, distro, reason };
  });
}

/** A chosen id that no section has, with the one that was probably meant. */
export function unknownSections(
  sections: readonly RepoSection[],
  selection: readonly string[],
): readonly { readonly id: string; readonly meant: string | undefined }[] {
  const ids = sections.map((section) => section.id);
  return selection.filter((id) => !ids.includes(id)).map((id) => ({ id, meant: nearest(id, ids) }));
}

type Verdict = Pick<ChosenSection, 'used' | 'reason'>;

function byRule({ enabled, kind }: RepoSection, distro: string | null, distros: readonly string[]): Verdict {
  const no = (reason: string): Verdict => ({ used: false, reason });
  if (distro === null || distro === '') return no('Its id does not end in “-DISTRO”, so it is used only if it is chosen by its id.');
  if (distros.length === 0) return no(`Its id ends in “-${distro}”, but no distribution of a VM is known.`);
  if (!distros.includes(distro)) return no(`Its id ends in “-${distro}”, but ${ofTheVms(distros)}.`);
  const fits = `Its id ends in “-${distro}”, which is a distribution of the VMs`;
  if (enabled) return { used: true, reason: `${fits}.` };
  // Lago named sections to reposync, which enables those that are named; its files rely on that. Sources of apt are new.
  if (kind === 'rpm') return { used: true, reason: `${fits}; that its file switches it off counts only for dnf.` };
  return no(`${fits}, but its file switches it off.`);
}

function bySelection({ id, enabled }: RepoSection, selection: readonly string[]): Verdict {
  if (!selection.includes(id)) return { used: false, reason: 'Others were chosen by their ids.' };
  return { used: true, reason: enabled ? 'It was chosen by its id.' : 'It was chosen by its id, although its file switches it off.' };
}

function ofTheVms(distros: readonly string[]): string {
  return distros.length === 1 ? `the distribution of the VMs is ${distros[0]}` : `the distributions of the VMs are ${distros.join(', ')}`;
}
