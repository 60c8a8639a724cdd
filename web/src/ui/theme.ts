import { shallowRef } from 'vue'
import { read, write } from './stored'

export type Theme = 'dark' | 'light'

export const theme = shallowRef<Theme>(read<Theme>('theme', 'dark') === 'light' ? 'light' : 'dark')

export function setTheme(next: Theme): void {
  theme.value = next
  document.documentElement.classList.toggle('dark', next === 'dark')
  write('theme', next)
}

/** A token's value now, for what is drawn on a canvas. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}
