/** The keyboard of the seat, one table: keys, words, and who listens at the moment. */

import { onActivated, onBeforeUnmount, onDeactivated, onMounted } from 'vue'
import type { Key } from '@/l10n'

export type Action =
  | 'search' | 'nextAlarm' | 'previousAlarm' | 'claim' | 'handle' | 'tick' | 'details' | 'photo' | 'follow' | 'text' | 'locate' | 'track' | 'play' | 'slower' | 'faster'
  | 'severity1' | 'severity2' | 'severity3' | 'severity4' | 'goMap' | 'goAlarms' | 'goReports' | 'goSystem' | 'back' | 'help' // prettier-ignore

/** A key, or two pressed one after the other. Listed in the order of the help. */
export const KEYS: readonly { keys: string; action: Action; words: Key }[] = [
  { keys: 'J', action: 'nextAlarm', words: 'key.nextAlarm' },
  { keys: 'K', action: 'previousAlarm', words: 'key.previousAlarm' },
  { keys: 'C', action: 'claim', words: 'key.claim' },
  { keys: 'H', action: 'handle', words: 'key.handle' },
  { keys: 'X', action: 'tick', words: 'key.tick' },
  { keys: 'O', action: 'details', words: 'key.details' },
  { keys: '1', action: 'severity1', words: 'key.severity1' },
  { keys: '2', action: 'severity2', words: 'key.severity2' },
  { keys: '3', action: 'severity3', words: 'key.severity3' },
  { keys: '4', action: 'severity4', words: 'key.severity4' },
  { keys: '/', action: 'search', words: 'key.search' },
  { keys: 'F', action: 'follow', words: 'key.follow' },
  { keys: 'M', action: 'text', words: 'key.text' },
  { keys: 'P', action: 'photo', words: 'key.photo' },
  { keys: 'L', action: 'locate', words: 'key.locate' },
  { keys: 'T', action: 'track', words: 'key.track' },
  { keys: 'Space', action: 'play', words: 'key.play' },
  { keys: '[', action: 'slower', words: 'key.slower' },
  { keys: ']', action: 'faster', words: 'key.faster' },
  { keys: 'G M', action: 'goMap', words: 'key.goMap' },
  { keys: 'G A', action: 'goAlarms', words: 'key.goAlarms' },
  { keys: 'G R', action: 'goReports', words: 'key.goReports' },
  { keys: 'G S', action: 'goSystem', words: 'key.goSystem' },
  { keys: 'Esc', action: 'back', words: 'key.back' },
  { keys: '?', action: 'help', words: 'key.help' },
]

const byKeys = new Map(KEYS.map(({ keys, action }) => [keys, action]))

/** Returns false to let the one below have it. The newest listener is asked first. */
type Handler = () => boolean | void
const listeners: Partial<Record<Action, Handler>>[] = []

/** Listen while this component is on the page. */
export function useKeys(handlers: Partial<Record<Action, Handler>>): void {
  const add = () => {
    if (!listeners.includes(handlers)) listeners.push(handlers)
  }
  const drop = () => {
    const at = listeners.indexOf(handlers)
    if (at >= 0) listeners.splice(at, 1)
  }
  onMounted(add)
  onActivated(add)
  onDeactivated(drop)
  onBeforeUnmount(drop)
}

const PREFIX_MS = 1500
let prefixAt = -Infinity

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable], .el-select') !== null
}

/** A dialog or an open menu has the keyboard to itself. */
function isCovered(): boolean {
  const floating = document.querySelectorAll<HTMLElement>('.el-overlay, .el-popper[aria-hidden="false"]:not([role="tooltip"]), .covers[aria-hidden="false"]')
  return [...floating].some((element) => element.style.display !== 'none')
}

function nameOf(event: KeyboardEvent): string {
  if (event.key === ' ') return 'Space'
  if (event.key === 'Escape') return 'Esc'
  return event.key.length === 1 ? event.key.toUpperCase() : event.key
}

function onKeydown(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isCovered()) return
  if (isWriting(event.target)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur()
    return
  }
  // Space belongs to the button that the keyboard has walked to; one that was only clicked has no claim to it.
  if (event.key === ' ' && event.target instanceof HTMLButtonElement && event.target !== clicked) return
  let name = nameOf(event)
  if (name === 'G' && !event.repeat) {
    prefixAt = event.timeStamp
    return
  }
  if (event.timeStamp - prefixAt < PREFIX_MS && byKeys.has(`G ${name}`)) name = `G ${name}`
  prefixAt = -Infinity
  const action = byKeys.get(name)
  if (!action) return
  for (const handlers of [...listeners].reverse()) {
    const handler = handlers[action]
    if (handler && handler() !== false) {
      event.preventDefault()
      // Or the key's release would click the button that was clicked last.
      if (event.key === ' ' && event.target instanceof HTMLButtonElement) event.target.blur()
      return
    }
  }
}

let clicked: Element | null = null

export function listenToKeyboard(): void {
  window.addEventListener('pointerdown', (event) => (clicked = (event.target as Element).closest('button')), { capture: true })
  // While the event is on its way down: later the Escape that closes a dialog would find it gone, and close more.
  window.addEventListener('keydown', onKeydown, { capture: true })
}
