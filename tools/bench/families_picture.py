"""The picture of families.py: densities, a row for each data set, of the density itself and of a selection of flows."""

import subprocess

import numpy as np

from toy_densities import LOG_PROB

SHOWN = ["planar", "RealNVP", "MAF", "NAF", "BNAF", "spline coupling", "rational spline", "flow matching"]
BOX = {"moons": (-1.45, 2.45, -1.7, 2.2), "8gaussians": (-4.3, 4.3, -4.3, 4.3), "checkerboard": (-4.4, 4.4, -4.4, 4.4),
       "pinwheel": (-4.2, 4.2, -4.2, 4.2), "2spirals": (-4, 4, -4, 4)}  # fmt: skip
CELLS = 84  # of a panel, along each side, of two pixels each
PANEL, LEFT, TOP, GAP, BELOW = 2 * CELLS, 40, 44, 6, 34  # pixels; what stands below a panel is its figure
VIRIDIS = "#440154 #482878 #3e4a89 #31688e #26828e #1f9e89 #35b779 #6dcd59 #b4de2c #fde725".split()


def grid(box):
    """The middles of the cells, (CELLS², 2), row by row of the picture from below."""
    at = (np.arange(CELLS) + 0.5) / CELLS
    x, y = box[0] + (box[1] - box[0]) * at, box[2] + (box[3] - box[2]) * at
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def panels(bench, table, data):
    """For each data set and column: the column's name, what is written below, and the densities of the cells."""
    shown = [row for name in SHOWN for row in table if next(iter(row.values()))["family"] == name]
    for d in data:
        points, files = grid(BOX[d]), [bench.folder / f"grid-{d}.npy", bench.folder / f"grid-{d}-log-prob.npy"]
        np.save(files[0], points)
        yield d, "the density", f"entropy {next(iter(table))[d]['entropy']:.3f}", np.exp(LOG_PROB[d](points))
        for row in shown:
            case = row[d]
            bench.weir("logprob", bench.folder / f"{case['family']} {d}.safetensors", files[0], "-o", files[1])
            yield d, case["family"], f"+{case['gap']:.3f}", np.exp(np.load(files[1]).ravel())


def draw(bench, table, data):
    """families.png, of the data sets that have a box."""
    data = [d for d in data if d in BOX]
    drawn = list(panels(bench, table, data))
    columns = len(drawn) // len(data)
    width, height = LEFT + columns * (PANEL + GAP), TOP + len(data) * (PANEL + BELOW)
    script = [
        f"set terminal png size {width},{height} font 'DejaVu Sans,14'",
        f"set output '{bench.folder / 'families.png'}'",
        "set palette maxcolors 48 defined (" + ", ".join(f"{i} '{colour}'" for i, colour in enumerate(VIRIDIS)) + ")",
        "set cbrange [0:1]; unset key; unset colorbox; unset tics; set border lw 0.5 lc rgb '#808080'",
        "set multiplot",
    ]
    for number, (d, name, below, density) in enumerate(drawn):
        row, column = divmod(number, columns)
        left, top = LEFT + column * (PANEL + GAP), TOP + row * (PANEL + BELOW)
        if column == 0:
            most = np.quantile(density, 0.995)
            script.append(f"set label 1 '{d}' at screen {12 / width},{1 - (top + PANEL / 2) / height} center rotate by 90")
        if row == 0:
            script.append(f"set label 2 '{name}' at screen {(left + PANEL / 2) / width},{1 - 24 / height} center")
        script += [
            f"set lmargin at screen {left / width}; set rmargin at screen {(left + PANEL) / width}",
            f"set tmargin at screen {1 - top / height}; set bmargin at screen {1 - (top + PANEL) / height}",
            f"set label 3 '{below}' at screen {(left + PANEL / 2) / width},{1 - (top + PANEL + 14) / height} center "
            "tc rgb '#404040'",
            f"plot [0:{CELLS}] [0:{CELLS}] '-' matrix using ($1+0.5):($2+0.5):3 with image pixels",
            *[" ".join(f"{min(p, most) / most:.3g}" for p in line) for line in density.reshape(CELLS, CELLS)],
            "e", "unset label 1; unset label 2",
        ]  # fmt: skip
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)
