import { z } from 'zod';

/** What a VM goes through from its start until it can be used, in order. */
export const BOOT_STAGES = ['started', 'bootloader', 'kernel', 'address-asked', 'address-given', 'ssh', 'login', 'cloud-init'] as const;
export type BootStageId = (typeof BOOT_STAGES)[number];

export const BOOT_STAGE_TITLES: Readonly<Record<BootStageId, string>> = {
  started: 'QEMU started',
  bootloader: 'Bootloader',
  kernel: 'Kernel',
  'address-asked': 'Address asked for',
  'address-given': 'Address given',
  ssh: 'ssh answers',
  login: 'Login accepted',
  'cloud-init': 'cloud-init finished',
};

export const BootStage = z.object({
  id: z.enum(BOOT_STAGES),
  /** `passed`: not seen itself, but a later stage was reached, so it must have been. `waiting`: the first one not reached. */
  state: z.enum(['done', 'passed', 'waiting', 'ahead']),
  /** ms since the epoch; null when it was not seen happening. */
  at: z.number().nullable(),
  /** What showed it, one line; null unless `done`. */
  evidence: z.string().nullable(),
});
export type BootStage = z.infer<typeof BootStage>;

/** Why a VM is not up. */
export const BootHang = z.object({
  stage: z.enum(BOOT_STAGES),
  /** The cause in two or three words, for a table: `login refused`. */
  word: z.string(),
  /** The cause in one sentence. */
  cause: z.string(),
  /** What to do next, one sentence. */
  next: z.string(),
  /** Output that shows it: the last lines of the serial console, or of the DHCP server. */
  lines: z.array(z.string()).readonly(),
});
export type BootHang = z.infer<typeof BootHang>;

/** How far a running VM has booted. Only stages that this VM can show are listed: no address without DHCP, no cloud-init without a seed. */
export const BootState = z.object({
  stages: z.array(BootStage).readonly(),
  /** Null while it boots as expected, and once it is up. */
  hang: BootHang.nullable(),
  /** Since when the guest agent answers, ms since the epoch; null when it was not seen beginning. Absent while it does not. */
  agent: z.number().nullable().optional(),
});
export type BootState = z.infer<typeof BootState>;

/** The first stage that has not been reached; undefined when the VM is up. */
export function waitingStage(boot: BootState): BootStage | undefined {
  return boot.stages.find((stage) => stage.state === 'waiting');
}
