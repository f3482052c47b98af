import type { Issue } from '../../../../src-shared/issue.ts';

/** Options of a repository that have an effect here; each is read in `rpm-sections.ts`. */
export const USED_KEYS: ReadonlySet<string> = new Set([
  'name',
  'enabled',
  'type',
  'baseurl',
  'mirrorlist',
  'metalink',
  'exclude',
  'excludepkgs',
  'includepkgs',
  'gpgcheck',
  'repo_gpgcheck',
  'gpgkey',
  'cost',
  'priority',
  'module_hotfixes',
  'skip_if_unavailable',
  'max_connections',
  'max_parallel_downloads',
  'proxy',
  'proxy_username',
  'proxy_password',
  'username',
  'password',
  'sslverify',
  'sslcacert',
  'sslclientcert',
  'sslclientkey',
  'ip_resolve',
  'timeout',
  'retries',
  'user_agent',
]);

/** Those that have no meaning in `[main]`: they say what one repository is. */
export const NOT_IN_MAIN: ReadonlySet<string> = new Set([
  'name',
  'type',
  'baseurl',
  'mirrorlist',
  'metalink',
  'cost',
  'priority',
  'module_hotfixes',
]);

/** Keys that no program knows but whose meaning is plain, and what they are taken for. */
export const MEANT_KEYS: ReadonlyMap<string, string> = new Map([
  ['gpg_check', 'gpgcheck'],
  ['repo_gpg_check', 'repo_gpgcheck'],
  ['gpg_key', 'gpgkey'],
  ['base_url', 'baseurl'],
  ['mirror_list', 'mirrorlist'],
  ['excludes', 'exclude'],
  ['exclude_pkgs', 'excludepkgs'],
  ['include_pkgs', 'includepkgs'],
  ['includes', 'includepkgs'],
  ['ssl_verify', 'sslverify'],
]);

interface Ignored {
  readonly severity: Issue['severity'];
  readonly why: string;
  readonly keys: string;
}

/** Options that dnf, yum, zypper or others know, and why they have no effect here. */
const IGNORED: readonly Ignored[] = [
  {
    severity: 'info',
    why: 'Only this file is read; name further ones beside it.',
    keys: 'reposdir config_file_path varsdir',
  },
  { severity: 'warning', why: 'Other files are not included; name them beside this one.', keys: 'include' },
  { severity: 'info', why: 'Plugins of dnf and yum are not used.', keys: 'plugins pluginpath pluginconfpath' },
  {
    severity: 'info',
    why: 'It is for the tests of oVirt; repositories are synchronised the same way with and without it.',
    keys: 'ost_skip_injection',
  },
  { severity: 'info', why: 'Mirrors are tried in the order in which they are named.', keys: 'failovermethod fastestmirror' },
  {
    severity: 'info',
    why: 'Each synchronisation asks the servers whether there is something new.',
    keys: 'metadata_expire metadata_expire_filter mirrorlist_expire metadata_timer_sync http_caching autorefresh check_config_file_age cacheonly',
  },
  { severity: 'info', why: 'Packages are always fetched whole.', keys: 'deltarpm deltarpm_percentage deltarpm_metadata_percentage' },
  { severity: 'info', why: 'The speed of downloads is not limited.', keys: 'bandwidth throttle minrate' },
  {
    severity: 'warning',
    why: 'It is not supported: a proxy is asked with user name and password only.',
    keys: 'proxy_auth_method proxy_sslcacert proxy_sslverify proxy_sslclientcert proxy_sslclientkey',
  },
  { severity: 'warning', why: 'It is not supported: name the certificates in one file, with sslcacert.', keys: 'sslcacertdir' },
  { severity: 'warning', why: 'It is not supported: the keys of gpgkey are used as they are.', keys: 'gpgcakey gpgkey_dns_verification' },
  {
    severity: 'info',
    why: 'It has no meaning for packages that are only fetched, not installed.',
    keys: `allow_vendor_change alwaysprompt arch arches assumeno assumeyes async autocheck_running_kernel autoremove basearch best bugtracker_url cachedir
      clean_requirements_on_remove color color_list_available_downgrade color_list_available_install color_list_available_reinstall
      color_list_available_upgrade color_list_available_running_kernel color_list_installed_extra color_list_installed_newer
      color_list_installed_older color_list_installed_reinstall color_list_installed_running_kernel color_search_match color_update_installed
      color_update_local color_update_remote commands compare_providers_priority countme debug_solver debuglevel defaultyes destdir diskspacecheck
      distroverpkg enabled_metadata enable_group_conditionals enablegroups errorlevel exactarch exactarchlist exclude_from_weak
      exclude_from_weak_autodetect exit_on_lock ftp_disable_epsv group_command group_package_types groupremove_leaf_only history_list_view
      history_record history_record_packages ignorearch install_weak_deps installonly_limit installonlypkgs installroot keepalive keepcache
      kernelpkgnames localpkg_gpgcheck log_compress log_rotate log_size logdir logfile logfilelevel loadts_ignoremissing mdpolicy mediaid metadata
      module_obsoletes module_platform_id module_stream_switch multilib_policy obsoletes optional_metadata_types overwrite_groups path
      persistdir pkgpolicy protect protect_running_kernel protected_multilib protected_packages query_install_excludes recent
      releasever repositoryid reset_nice retry_wait rpmverbosity showdupesfromrepos sslverifystatus strict syslog_device syslog_facility
      syslog_ident system_cachedir throttle_metadata tolerant transformdb tsflags ui_repoid_vars upgrade_group_objects_upgrade
      upgrade_requirements_on_install use_host_config usercache usr_drift_protected_paths zchunk`,
  },
];

const REASONS: ReadonlyMap<string, Omit<Ignored, 'keys'>> = new Map(
  IGNORED.flatMap(({ keys, ...reason }) => keys.split(/\s+/).map((key): [string, Omit<Ignored, 'keys'>] => [key, reason])),
);

/** Why a known key has no effect; undefined for one that has, or that nobody knows. */
export function ignoredKey(key: string): Omit<Ignored, 'keys'> | undefined {
  return REASONS.get(key);
}

/** Every key that is no mistake. */
export function knownKeys(): readonly string[] {
  return [...USED_KEYS, ...REASONS.keys()];
}
