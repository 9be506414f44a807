/**
 * `pg-maint completion bash|zsh|fish`: a script that makes the shell complete commands, options and their choices. It is
 * written from what commander knows, so that a Tab starts no program and executes nothing of the line that is typed.
 */
import { Argument } from 'commander';
import type { Command, Option } from 'commander';
import type { CommandHost } from './command.ts';

interface Node {
  /** Names from below pg-maint: ['config', 'set']; empty for pg-maint itself. */
  path: readonly string[];
  description: string;
  commands: readonly Node[];
  options: readonly Option[];
  /** Of its first argument. */
  choices: readonly string[];
}

function nodeOf(command: Command, path: readonly string[]): Node {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    commands: help
      .visibleCommands(command)
      .filter((each) => each.name() !== 'help')
      .map((each) => nodeOf(each, [...path, each.name()])),
    options: help.visibleOptions(command),
    choices: command.registeredArguments[0]?.argChoices ?? [],
  };
}

function flatten(node: Node): Node[] {
  return [node, ...node.commands.flatMap(flatten)];
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** For POSIX shells: nothing in it is expanded. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function bash(root: Node): string {
  const nodes = flatten(root);
  const name = (node: Node): string => node.path.join(' ');
  const descend = nodes
    .filter(({ path }) => path.length > 0)
    .map(
      (node) =>
        `      ${quote(`${node.path.slice(0, -1).join(' ')}/${node.path.at(-1) ?? ''}`)}) command=${quote(name(node))} ;;`,
    );
  const values = nodes.flatMap((node) =>
    node.options.filter(takesValue).map((option) => {
      const patterns = flagsOf(option).map((flag) => quote(`${name(node)}/${flag}`));
      const words = quote((option.argChoices ?? []).join(' '));
      return `    ${patterns.join('|')}) mapfile -t COMPREPLY < <(compgen -W ${words} -- "$cur"); return ;;`;
    }),
  );
  const words = nodes.map((node) => {
    const plain = [...node.commands.map(({ path }) => path.at(-1) ?? ''), ...node.choices];
    const options = node.options.flatMap(({ long }) => long ?? []);
    return `    ${quote(name(node))}) words=${quote(plain.join(' '))} options=${quote(options.join(' '))} ;;`;
  });
  return `# bash completion of pg-maint; in ~/.bashrc:  eval "$(pg-maint completion bash)"
_pg_maint() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' word words='' options=''
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$command/$word" in
${descend.join('\n')}
    esac
  done
  case "$command/$prev" in
${values.join('\n')}
  esac
  case "$command" in
${words.join('\n')}
  esac
  case "$cur" in -*) words=$options ;; esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _pg_maint pg-maint
`;
}

/** zsh knows the bash way by its own bashcompinit; it has no mapfile. */
function zsh(root: Node): string {
  const body = bash(root)
    .replace(/^# bash .*$/m, '# zsh completion of pg-maint; in ~/.zshrc:  eval "$(pg-maint completion zsh)"')
    .replace(/mapfile -t COMPREPLY < <\((compgen .*?)\)(?=;|$)/gm, 'COMPREPLY=( ${(f)"$($1)"} )');
  return body.replace('\n', '\nautoload -U +X compinit bashcompinit && compinit && bashcompinit\n');
}

function fish(root: Node): string {
  const lines = ['# fish completion of pg-maint; in config.fish:  pg-maint completion fish | source'];
  for (const node of flatten(root)) {
    const below = node.commands.map(({ path }) => path.at(-1) ?? '');
    const seen = node.path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const here = [
      ...seen,
      ...(below.length > 0 ? [`not __fish_seen_subcommand_from ${below.join(' ')}`] : []),
    ];
    const when = here.length === 0 ? '' : ` -n ${quote(here.join('; and '))}`;
    for (const { path, description } of node.commands)
      lines.push(`complete -c pg-maint -f${when} -a ${quote(path.at(-1) ?? '')} -d ${quote(description)}`);
    if (node.choices.length > 0)
      lines.push(`complete -c pg-maint -f${when} -a ${quote(node.choices.join(' '))}`);
    for (const option of node.options) {
      const flags = [
        option.short === undefined ? '' : ` -s ${quote(option.short.slice(1))}`,
        option.long === undefined ? '' : ` -l ${option.long.slice(2)}`,
        takesValue(option) ? ' -x' : '',
        option.argChoices === undefined ? '' : ` -a ${quote(option.argChoices.join(' '))}`,
      ];
      lines.push(`complete -c pg-maint${when}${flags.join('')} -d ${quote(option.description)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const shells = { bash, zsh, fish } as const;

export function addCompletionCommand(program: Command, { output }: CommandHost): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(shells)))
    .description('print the script that makes a shell complete commands and options')
    .action((shell: keyof typeof shells) => {
      output.write(shells[shell](nodeOf(program, [])));
    });
}
