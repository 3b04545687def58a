# Of the values of `key`: how many (count), and their least, middle and greatest once `sort_all` ran.

function add(key, value) {
    values[key, ++count[key]] = value + 0
}
function sort_all(   key, i, j, v) {
    for (key in count)
        for (i = 2; i <= count[key]; i++) {
            v = values[key, i]
            for (j = i - 1; j >= 1 && values[key, j] > v; j--)
                values[key, j + 1] = values[key, j]
            values[key, j + 1] = v
        }
}
function least(key) {
    return values[key, 1]
}
function middle(key) {
    return values[key, int((count[key] + 1) / 2)]
}
function most(key) {
    return values[key, count[key]]
}
# "median (least to greatest)", with the printf format of a number
function spread(key, format) {
    if (!(key in count))
        return "-"
    return sprintf(format " (" format " to " format ")", middle(key), least(key), most(key))
}
