/** Colours of the canvas, read from the style sheet. */
export interface Palette {
  paper: string;
  ink: string;
  mid: string;
  faint: string;
  rule: string;
  hair: string;
  open: string;
  edge: string;
  red: string;
  wash: string;
  events: readonly string[];
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: value('paper'),
    ink: value('ink'),
    mid: value('mid'),
    faint: value('faint'),
    rule: value('rule'),
    hair: value('hair'),
    open: value('open'),
    edge: value('open-edge'),
    red: value('red'),
    wash: value('red-wash'),
    events: [0, 1, 2, 3, 4].map((n) => value(`e${n}`)),
  };
}

export const FONT = 'Inter, Pretendard, system-ui, "Noto Sans CJK KR", "Noto Sans KR", sans-serif';

/** A canvas with the few strokes that the diagrams are made of. In CSS pixels. */
export class Pen {
  readonly g: CanvasRenderingContext2D;
  readonly p: Palette;
  readonly width: number;
  readonly height: number;

  private constructor(g: CanvasRenderingContext2D, p: Palette, width: number, height: number) {
    this.g = g;
    this.p = p;
    this.width = width;
    this.height = height;
  }

  /** Clears the canvas, and fits it to the screen's pixels. Sizes come from an observer: asking would lay out anew. */
  static on(canvas: HTMLCanvasElement, size: { width: number; height: number }, p: Palette): Pen | undefined {
    const scale = Math.min(3, devicePixelRatio || 1);
    const width = Math.round(size.width * scale);
    const height = Math.round(size.height * scale);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const g = canvas.getContext('2d');
    if (!g) return;
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, size.width, size.height);
    g.globalAlpha = 1;
    g.lineJoin = 'round';
    return new Pen(g, p, size.width, size.height);
  }

  line(x0: number, y0: number, x1: number, y1: number, color: string, width = 1, dash: number[] = []): void {
    const { g } = this;
    g.beginPath();
    g.strokeStyle = color;
    g.lineWidth = width;
    g.setLineDash(dash);
    g.moveTo(x0, y0);
    g.lineTo(x1, y1);
    g.stroke();
    if (dash.length) g.setLineDash([]);
  }

  dot(x: number, y: number, radius: number, fill?: string, stroke?: string, width = 1.25): void {
    const { g } = this;
    g.beginPath();
    g.arc(x, y, radius, 0, 7);
    if (fill) {
      g.fillStyle = fill;
      g.fill();
    }
    if (stroke) {
      g.strokeStyle = stroke;
      g.lineWidth = width;
      g.stroke();
    }
  }

  cross(x: number, y: number, r: number): void {
    this.line(x - r, y - r, x + r, y + r, this.p.red, 1.5);
    this.line(x - r, y + r, x + r, y - r, this.p.red, 1.5);
  }

  /** Text with a halo of paper. */
  text(
    text: string | number,
    x: number,
    y: number,
    color: string,
    {
      align = 'left',
      weight = 400,
      size = 11,
    }: { align?: CanvasTextAlign; weight?: number; size?: number } = {},
  ): void {
    const { g } = this;
    g.font = `${weight} ${size}px ${FONT}`;
    g.textAlign = align;
    g.textBaseline = 'middle';
    g.lineWidth = 4;
    g.strokeStyle = this.p.paper;
    g.strokeText(String(text), x, y);
    g.fillStyle = color;
    g.fillText(String(text), x, y);
  }

  /** Draws inside a rectangle only. */
  within(x: number, y: number, width: number, height: number, draw: () => void): void {
    const { g } = this;
    g.save();
    g.beginPath();
    g.rect(x, y, width, height);
    g.clip();
    draw();
    g.restore();
  }
}
