/** Plate colours (车牌颜色) by code: JT/T 415-2006 5.4.12, JT/T 697.7-2014, and what vehicles really carry. */

export interface PlateLook {
  name: 'none' | 'blue' | 'yellow' | 'black' | 'white' | 'green' | 'other' | 'farm_yellow' | 'farm_green' | 'yellow_green' | 'gradient_green'
  ground: string
  ink: string
}

export const PLATES: Record<number, PlateLook> = {
  0: { name: 'none', ground: '#5d6873', ink: '#ffffff' },
  1: { name: 'blue', ground: '#1250a8', ink: '#ffffff' },
  2: { name: 'yellow', ground: '#f3b40b', ink: '#111111' },
  3: { name: 'black', ground: '#16181a', ink: '#ffffff' },
  4: { name: 'white', ground: '#f7f8f8', ink: '#111111' },
  5: { name: 'green', ground: '#12813f', ink: '#ffffff' },
  9: { name: 'other', ground: '#5d6873', ink: '#ffffff' },
  91: { name: 'farm_yellow', ground: '#f3b40b', ink: '#111111' },
  92: { name: 'farm_green', ground: '#12813f', ink: '#ffffff' },
  93: { name: 'yellow_green', ground: 'linear-gradient(90deg, #f3b40b 0 30%, #35b46b 30%)', ink: '#111111' },
  94: { name: 'gradient_green', ground: 'linear-gradient(180deg, #f3fbf5, #34b56b)', ink: '#111111' },
}

export const PLATE_CODES = [2, 1, 93, 94, 5, 3, 4, 91, 92, 9, 0]

export function plateLook(code: number): PlateLook {
  return PLATES[code] ?? PLATES[9]!
}

/** `辽B12345` -> `辽B·12345`, as it is stamped. */
export function stamped(plate: string): string {
  return /^[\u4e00-\u9fff][A-Z]/.test(plate) ? `${plate.slice(0, 2)}·${plate.slice(2)}` : plate
}
