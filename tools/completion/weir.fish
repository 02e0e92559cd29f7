# Completion of weir for fish. The command itself tells what a word can become, from the tables that it parses by.

function __weir_complete
    set -l typed (string trim --left --chars='\'"' -- (commandline -ct))
    for line in (weir --complete (commandline -opc)[2..] $typed 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path $typed
            case :more
            case '*'
                echo $line
        end
    end
end

complete -c weir -f -a '(__weir_complete)'
