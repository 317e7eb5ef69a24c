#!/bin/sh
# Render designs over their target with PyMOL: training/render.sh OUT.png DESIGN.cif
# Target grey, its hotspots orange, the binder coloured from its N to its C terminus.
set -eu
script=$(mktemp --suffix=.pml)
trap 'rm -f "$script"' EXIT
hotspots=$(sed -n 's/^_pxtools_design.hotspots *\([A-Z0-9]*\):/\1:/p' "$2")
binder=$(grep '^ATOM' "$2" | tail -1 | awk '{print $7}')
select=$(echo "$hotspots" | tr ',' '\n' | sed 's/^\(.*\):\(.*\)$/(chain \1 and resi \2)/' | paste -sd'|' | sed 's/|/ or /g')
cat >"$script" <<PML
cmd.load("$2", "design")
hide everything
show cartoon
color grey80
spectrum resi, blue_white_red, chain $binder and name CA
set cartoon_discrete_colors, 1
show sticks, $select
color orange, $select
bg_color white
set ray_opaque_background, 1
orient
zoom all, 1
ray 700, 560
png $1
PML
pymol -cq "$script"
