import { NativeSelect } from '@mantine/core';
import { IconAlertTriangle, IconArrowsSplit, IconInfoCircle, IconPackages } from '@tabler/icons-react';
import { type ReactElement, type ReactNode, useDeferredValue, useMemo, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { MergedPackages, MergedRepo, MergeReport } from '../../src-shared/repos/merged-packages.ts';
import { splitSource } from '../../src-shared/repos/package-repos.ts';
import { baseName, count, dots, formatAgo, formatClock } from '../format.ts';
import { Disclosure } from '../ui/disclosure.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import { StateIcon } from '../ui/feedback/state-mark.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import { RowTable } from '../ui/rows/row-table.tsx';
import { SearchField } from '../ui/search-field.tsx';
import table from '../ui/table.module.css';
import { type PackageRow, packageRows, sizeOf } from './package-list.ts';
import styles from './packages.module.css';

const COLUMNS = ['Package', 'Version', 'Architecture', 'Size', 'Source'] as const;
const WIDTHS = 'minmax(120px, 1.4fr) minmax(120px, 1fr) 88px 72px minmax(96px, 1fr)';

function cells({ name, version, arch, size, source }: PackageRow): readonly ReactNode[] {
  const place = source === null ? null : splitSource(source).place;
  return [
    <span key="name" title={name}>
      {name}
    </span>,
    <span key="version" className="mono" title={version}>
      {version}
    </span>,
    <span key="arch" className="dim">
      {arch}
    </span>,
    <span key="size" className="dim">
      {formatBytes(size)}
    </span>,
    <span key="source" className="dim" title={place ?? undefined}>
      {place === null ? 'not recorded' : baseName(place)}
    </span>,
  ];
}

function Repositories(props: { readonly repos: readonly MergedRepo[] }): ReactElement {
  const now = useNow(true, 30_000);
  return (
    <table className={`${table.table} ${styles.repositories}`} aria-label="Merged repositories">
      <thead>
        <tr>
          <th>Distribution</th>
          <th className={table.number}>Packages</th>
          <th className={table.number}>Size</th>
          <th>Merged</th>
        </tr>
      </thead>
      <tbody>
        {props.repos.map((repo) => (
          <tr key={repo.folder}>
            <td>{repo.folder}</td>
            <td className={table.number}>{repo.packages.length}</td>
            <td className={table.number}>{formatBytes(sizeOf(repo))}</td>
            <td className="dim">
              {repo.at === null ? (
                'not recorded: merge again to know the sources'
              ) : (
                <time title={formatClock(repo.at, now)} dateTime={new Date(repo.at).toISOString()}>
                  {formatAgo(repo.at, now)}
                </time>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The same for packages of several repositories. */
const COLUMNS_OF_ALL = [...COLUMNS, 'For'] as const;

function cellsOfAll(row: PackageRow): readonly ReactNode[] {
  return [
    ...cells(row),
    <span key="folder" className="dim" title={row.folder}>
      {row.folder}
    </span>,
  ];
}

/** What the last merge left out, and what a user should know. */
function Report(props: { readonly report: MergeReport }): ReactElement | null {
  const { name, conflicts, problems, older, known } = props.report;
  const facts = dots(older > 0 && `${count(older, 'older package')} left out`, known > 0 && `${known} left out that other sources have`);
  const notes = conflicts.length + problems.length;
  if (facts === '' && notes === 0) return null;
  return (
    <Disclosure
      className={styles.report}
      open={notes > 0 && notes <= 3}
      summary={dots(
        name !== null && name,
        conflicts.length > 0 && count(conflicts.length, 'conflict'),
        problems.length > 0 && count(problems.length, 'note'),
        facts,
      )}
    >
      <ul>
        {conflicts.map((conflict) => (
          <li key={conflict.leftOut} className={styles.note}>
            <StateIcon tone="warn" icon={IconArrowsSplit} label="Conflict" />
            <span>
              <span className="mono">{conflict.name}</span> is in <span className="mono">{conflict.kept}</span> and, with other content, in{' '}
              <span className="mono">{conflict.leftOut}</span>, which is left out.
            </span>
          </li>
        ))}
        {problems.map((problem) => (
          <li key={problem} className={styles.note}>
            <StateIcon tone="warn" icon={IconAlertTriangle} label="Note" />
            <span>{problem}</span>
          </li>
        ))}
        {notes === 0 && (
          <li className={styles.note}>
            <StateIcon tone="off" icon={IconInfoCircle} label="Note" />
            <span className="dim">Of each package the newest is taken, unless a source always wins.</span>
          </li>
        )}
      </ul>
    </Disclosure>
  );
}

/** The merged repositories and their packages. */
export function MergedList(props: { readonly merged: MergedPackages }): ReactElement {
  const { repos, reports } = props.merged;
  const [text, setText] = useState('');
  const [folder, setFolder] = useState('');
  const wanted = useDeferredValue(text);
  const several = repos.length > 1 && folder === '';
  const rows = useMemo(() => packageRows(repos, folder, wanted), [repos, folder, wanted]);
  if (repos.length === 0) {
    return (
      <Empty
        compact
        icon={IconPackages}
        title="Nothing merged yet"
        body="Merging makes one repository for each distribution out of the sources: of each package the newest."
      />
    );
  }
  return (
    <div className={styles.list}>
      <Repositories repos={repos} />
      {reports.map((report) => (
        <Report key={`${report.name} ${report.at}`} report={report} />
      ))}
      <div className={styles.tools}>
        <SearchField label="Search the packages" placeholder="Name, version or source" value={text} onChange={setText} />
        {repos.length > 1 && (
          <NativeSelect
            aria-label="Packages for"
            value={folder}
            data={[{ value: '', label: 'All distributions' }, ...repos.map((repo) => ({ value: repo.folder, label: repo.folder }))]}
            onChange={(event) => setFolder(event.currentTarget.value)}
          />
        )}
        <span className={styles.space} />
        <span className="faint nowrap">{count(rows.length, 'package')}</span>
      </div>
      <RowTable
        label="Packages"
        columns={several ? COLUMNS_OF_ALL : COLUMNS}
        widths={several ? `${WIDTHS} 80px` : WIDTHS}
        rows={rows}
        keyOf={(row) => `${row.folder} ${row.name} ${row.arch}`}
        cells={several ? cellsOfAll : cells}
        empty={<p className={styles.none}>No package fits.</p>}
      />
    </div>
  );
}
