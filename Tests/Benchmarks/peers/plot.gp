# Bars of the medians with whiskers from the least to the greatest round.
# Called with: data (columns: name, then median, least, greatest of p50 64, CPU 64, p50 1024, CPU 1024), out
set terminal svg size 1150,620 font "sans,12" background "white"
set output out
set datafile separator "\t"
set style data histograms
set style histogram errorbars gap 1 lw 1
set style fill solid 0.8 border -1
set bars 0.5
set yrange [0:*]
set grid ytics lc rgb "#cccccc"
set key top left
set encoding utf8
set xtics noenhanced
set multiplot layout 2,1
set title "Round trip over loopback UDP, median, µs"
plot data using 2:3:4:xtic(1) title "64 bytes" lc rgb "#3b6ea5", \
     data using 8:9:10 title "1024 bytes" lc rgb "#e0a030"
set title "CPU time a message, both ends, µs"
plot data using 5:6:7:xtic(1) title "64 bytes" lc rgb "#3b6ea5", \
     data using 11:12:13 title "1024 bytes" lc rgb "#e0a030"
unset multiplot
